"""Flax's flax_model.msgpack, read with msgpack alone."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_src.errors import CheckpointError
from model_src.framework_names import tensor_in_pytorch

# Flax's types of msgpack extensions: an array, a complex number and a NumPy scalar
_ARRAY = 1
_DTYPES = {"float16": np.float16, "float32": np.float32, "float64": np.float64, "bfloat16": np.uint16}
_CHUNKS = "__msgpack_chunked_array__"
_MOST_LEVELS = 32
_MOST_ENTRIES = 100_000
_MOST_DIMENSIONS = 32


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in `path`, with PyTorch's names and layouts.

    Raises CheckpointError for a damaged file, for other values than arrays of floats, and if msgpack is not installed.
    Source of the format: flax.serialization.
    """
    try:
        import msgpack
    except ImportError as cause:
        raise CheckpointError(
            f"{path} needs the msgpack package: {cause}",
            hint="pip install 'distilforge-pipeline[checkpoints]'",
        ) from cause

    def array(code: int, data: bytes) -> Tensor:
        if code != _ARRAY:
            raise ValueError(f"it has an extension of the type {code}, which is not an array")
        shape, dtype, buffer = msgpack.unpackb(data, raw=True, max_array_len=_MOST_DIMENSIONS, max_map_len=0)
        name = dtype.decode() if isinstance(dtype, bytes) else str(dtype)
        if name not in _DTYPES:
            raise ValueError(f"an array has the type {name!r:.80}; supported are {', '.join(_DTYPES)}")
        if math.prod(shape) * np.dtype(_DTYPES[name]).itemsize != len(buffer):
            raise ValueError(f"an array of the shape {list(shape)!r:.80} has {len(buffer)} bytes")
        tensor = torch.from_numpy(np.frombuffer(buffer, _DTYPES[name]).reshape(shape).copy())
        return tensor.view(torch.bfloat16) if name == "bfloat16" else tensor

    entries = 0

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal entries
        # An empty table has one byte in the file, and many in memory
        entries += 1 + len(pairs)
        if entries > _MOST_ENTRIES:
            raise ValueError(f"it has more than {_MOST_ENTRIES:,} entries")
        return dict(pairs)

    try:
        tree = msgpack.unpackb(
            path.read_bytes(),
            ext_hook=array,
            object_pairs_hook=table,
            raw=False,
            strict_map_key=True,
            max_array_len=0,
            max_map_len=_MOST_ENTRIES,
        )
        tensors: dict[str, Tensor] = {}
        _collect(tree, (), tensors)
    # What msgpack raises for bytes that are not msgpack, and NumPy for arrays that do not fit
    except (OSError, ValueError, TypeError, KeyError, msgpack.UnpackException) as cause:
        raise CheckpointError(
            f"{path} is damaged: {cause}", hint="copy the checkpoint again, or save it as safetensors"
        ) from cause
    return tensors


def _collect(value: object, parts: tuple[str, ...], tensors: dict[str, Tensor]) -> None:
    """Add the arrays of a tree of names to `tensors`."""
    if isinstance(value, Tensor):
        name, tensor = tensor_in_pytorch("/".join(parts), value)
        tensors[name] = tensor
        return
    if not isinstance(value, dict) or _CHUNKS in value or len(parts) > _MOST_LEVELS:
        raise ValueError(f"{'.'.join(parts)!r:.200} is not an array, or not stored in one piece")
    for key, below in value.items():
        _collect(below, (*parts, str(key)), tensors)
