"""Weights inside an ONNX file: whether they have as many values as their shapes and types say.

Source: onnx/onnx.proto, TensorProto.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import onnx_ir
from onnx_ir.serde import TensorProtoTensor

from pipeline.errors import UsageError
from pipeline.graph import tensors

_ENTRIES = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
# An entry has all values of a byte
_PACKED_BITS = (2, 4)
# A value is two entries
_COMPLEX = frozenset((onnx_ir.DataType.COMPLEX64, onnx_ir.DataType.COMPLEX128))


def check(weights: Iterable[onnx.TensorProto], path: Path) -> None:
    """Raise UsageError where one of `weights`, which were read from `path`, does not fit its shape and type.

    Without this, a few bytes could ask for more memory than there is. Weights in other files are left out.
    """
    for tensor in weights:
        if tensor.data_location != onnx.TensorProto.EXTERNAL and (problem := _problem(tensor)):
            raise UsageError(
                f"{path} is not usable: the weight {tensor.name!r:.200} {problem}",
                hint="export it again: the ONNX file contradicts itself",
            )


def within(model: onnx_ir.Model) -> Iterator[onnx.TensorProto]:
    """The weights and constants of `model` that are in the ONNX file itself."""
    return (tensor.raw for tensor in tensors.stored(model) if isinstance(tensor, TensorProtoTensor))


def _problem(tensor: onnx.TensorProto) -> str:
    """What is wrong with a weight, as the end of a sentence; "" for a good one."""
    try:
        kind = onnx_ir.DataType(tensor.data_type)
    except ValueError:
        return f"has the unknown type {tensor.data_type}"
    if kind == onnx_ir.DataType.UNDEFINED:
        return "has no type"
    shape = f"[{', '.join(map(str, tensor.dims)):.200}]"
    if min(tensor.dims, default=0) < 0:
        return f"has a negative size in its shape {shape}"
    values = math.prod(tensor.dims)
    if kind == onnx_ir.DataType.STRING:
        unit, needed, found = "values", values, len(tensor.string_data)
    elif tensor.HasField("raw_data"):
        unit, needed, found = "bytes", _ceiling(values * kind.bitwidth, 8), len(tensor.raw_data)
    else:
        if kind.bitwidth in _PACKED_BITS:
            values = _ceiling(values * kind.bitwidth, 8)
        elif kind in _COMPLEX:
            values *= 2
        unit, needed = "values", values
        found = sum(len(getattr(tensor, name)) for name in _ENTRIES)
    if needed == found:
        return ""
    return f"has {found:,} {unit}, and its type {kind.name} and shape {shape} need {needed:,}"


def _ceiling(number: int, divisor: int) -> int:
    """`number` / `divisor`, rounded up, for numbers that no float can hold too."""
    return -(-number // divisor)
