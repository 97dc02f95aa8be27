"""What is used of the toolkits' classes, whose packages have no types."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from distilforge.tensorrt.profiles import Profile


class Context(Protocol):
    """One execution context; used by one thread at a time. Whatever is asked of it answers whether it was done."""

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool: ...
    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool: ...
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def get_tensor_shape(self, name: str) -> Sequence[int]: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...
    def set_device_memory(self, memory: int, size: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEngine:
    """A deserialized engine: its tensors, and how to make contexts of it.

    name: what errors call it. dtypes: numpy's, of all inputs and outputs. new_context: with activation memory of its
    own; new_borrower: with memory that the caller gives, `scratch_bytes` of it, None where CUDA graphs are the
    toolkit's own affair. complaints: what its log last said went wrong. kept: what must outlive
    the contexts.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dtypes: Mapping[str, np.dtype[np.generic]]
    profiles: tuple[Profile, ...]
    scratch_bytes: int
    new_context: Callable[[], Context]
    new_borrower: Callable[[], Context] | None
    complaints: Callable[[], str]
    kept: tuple[object, ...] = ()
