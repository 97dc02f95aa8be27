"""The methods of TensorRT's classes that are used here, since its packages have no types."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from distilforge.tensorrt.profiles import Profile


class Context(Protocol):
    """An execution context, for one thread at a time; the methods that return a bool say whether they succeeded."""

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool: ...
    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool: ...
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def get_tensor_shape(self, name: str) -> Sequence[int]: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...
    def set_device_memory(self, memory: int, size: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEngine:
    """A deserialized engine."""

    name: str
    """How errors name it."""
    inputs: tuple[str, ...]
    """The names of the inputs."""
    outputs: tuple[str, ...]
    """The names of the outputs."""
    dtypes: Mapping[str, np.dtype[np.generic]]
    """The types of all inputs and outputs."""
    shapes: Mapping[str, tuple[int, ...]]
    """The shapes of all inputs and outputs; a size that depends on the batch is -1."""
    profiles: tuple[Profile, ...]
    """The optimization profiles."""
    new_context: Callable[[], Context]
    """Creates a context."""
    scratch_bytes: int | None
    """The memory for activations that the caller gives to each context; None where contexts allocate it themselves."""
    captures_graphs: bool
    """Whether the toolkit captures CUDA graphs itself, so that the caller must not."""
    complaints: Callable[[], str]
    """Returns the last errors in the toolkit's log."""
    kept: tuple[object, ...] = ()
    """Objects that must live as long as the contexts."""
