"""Tensors of the Open Inference Protocol, as JSON and in its binary form."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from distilforge import limits
from distilforge.engine import Array
from distilforge.errors import InputError
from distilforge.manifest import Tensor
from distilforge.registry import nearest
from distilforge.serve.adapter import Json

DATATYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
"""numpy's dtypes by the protocol's names; BYTES, which has none, is a list of texts."""
BYTES = "BYTES"
BINARY_SIZE = "binary_data_size"
# An input of more axes does not exist, and no release allows a larger size. A size of 0 lets the others be any
_MOST_AXES = 8
_MOST_SIZE = limits.MOST_SIZE
# Every text has its size in front, in four bytes
_SIZE_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTensor:
    """One input of a request."""

    name: str
    """Its name."""
    values: Array | tuple[str, ...]
    """An array, or the texts of a BYTES tensor of one axis."""


def read_tensor(entry: Json, raw: memoryview | None) -> InputTensor:
    """The tensor of an entry of `inputs`, whose values are `raw` or else in its `data`.

    Raises InputError for an entry that does not fit itself.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InputError(
            f"an input must be an object with a name, found {entry!r:.80}", hint="GET /openapi.json"
        )
    name = str(entry["name"])
    shape = _shape(entry.get("shape"), name)
    datatype = entry.get("datatype")
    if datatype == BYTES:
        texts = _texts(entry.get("data"), name) if raw is None else _binary_texts(raw, name)
        if math.prod(shape) != len(texts):
            raise InputError(
                f"the input {name!r:.80} has {len(texts)} texts and the shape {list(shape)!s:.80}",
                hint="the shape must be the number of texts",
            )
        return InputTensor(name=name, values=texts)
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise InputError(
            f"the input {name!r:.80} has the datatype {datatype!r:.80}",
            hint=nearest(str(datatype), (*DATATYPES, BYTES)),
        )
    dtype = np.dtype(DATATYPES[datatype]).newbyteorder("<")
    array = _array(entry.get("data"), dtype, name) if raw is None else _binary_array(raw, dtype, name)
    if array.size != math.prod(shape):
        raise InputError(
            f"the input {name!r:.80} has {array.size} values and the shape {list(shape)!s:.80}",
            hint="the shape's product must be the number of values",
        )
    return InputTensor(name=name, values=array.reshape(shape))


def binary_size(entry: Json) -> int | None:
    """How many bytes of the binary part belong to an entry of `inputs`; None if its values are JSON."""
    parameters = entry.get("parameters") if isinstance(entry, dict) else None
    size = parameters.get(BINARY_SIZE) if isinstance(parameters, dict) else None
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InputError(f"{BINARY_SIZE} must be a number of bytes, found {size!r:.80}", hint="0 or more")
    return size


def output_entry(name: str, array: Array) -> dict[str, Json]:
    """The entry of `outputs` without its values."""
    return {"name": name, "datatype": _datatype_of(array.dtype.name), "shape": list(array.shape)}


def metadata(tensor: Tensor) -> dict[str, Json]:
    """The description of an input or output of the graph; -1 is a size that varies."""
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    return {"name": tensor.name, "datatype": _datatype_of(tensor.dtype), "shape": shape}


def little_endian(array: Array) -> bytes:
    """The values of an output in the binary form."""
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _datatype_of(dtype: str) -> str:
    """The protocol's name of a numpy dtype."""
    return next(datatype for datatype, name in DATATYPES.items() if name == dtype)


def _shape(value: Json, name: str) -> tuple[int, ...]:
    if (
        not isinstance(value, list)
        or len(value) > _MOST_AXES
        or not all(isinstance(size, int) and not isinstance(size, bool) for size in value)
        or not all(0 <= size <= _MOST_SIZE for size in value)
    ):
        raise InputError(
            f"the shape of the input {name!r:.80} must be a list of at most {_MOST_AXES} sizes from 0 to "
            f"{_MOST_SIZE:,}, found {value!r:.80}",
            hint='for example "shape": [1, 16]',
        )
    return tuple(value)


def _array(data: Json, dtype: "np.dtype[np.generic]", name: str) -> Array:
    """The flat or nested list `data` as a flat array."""
    if not isinstance(data, list) or not _are_numbers(data):
        raise _no_numbers(data, dtype, name)
    try:
        array = np.array(data)
    except (ValueError, OverflowError) as cause:
        raise InputError(
            f"the data of the input {name!r:.80} are not numbers: {cause}", hint="pass a list of numbers"
        ) from cause
    # A value that the datatype does not hold changes; NaN becomes any integer
    with np.errstate(invalid="ignore"):
        exact = array.astype(dtype) if array.dtype.kind in "biuf" else array
    if array.dtype.kind not in "biuf" or not np.array_equal(array, exact):
        raise _no_numbers(data, dtype, name)
    return exact.ravel()


def _no_numbers(data: Json, dtype: "np.dtype[np.generic]", name: str) -> InputError:
    return InputError(
        f"the data of the input {name!r:.80} must be a list of {dtype.name}, found {data!r:.80}",
        hint="pass a number that the datatype holds for each value",
    )


def _are_numbers(data: list[Json]) -> bool:
    """Whether a flat or nested list holds only numbers, true and false.

    Among texts, numpy would give every value the size of the longest text.
    """
    lists = [data]
    while lists:
        for value in lists.pop():
            if isinstance(value, list):
                lists.append(value)
            elif not isinstance(value, (int, float)):
                return False
    return True


def _binary_array(raw: memoryview, dtype: "np.dtype[np.generic]", name: str) -> Array:
    if len(raw) % dtype.itemsize:
        raise InputError(
            f"the input {name!r:.80} has {len(raw)} bytes, which are not a whole number of {dtype.name} values",
            hint=f"{dtype.itemsize} bytes for each value, the lowest first",
        )
    return np.frombuffer(raw, dtype)


def _texts(data: Json, name: str) -> tuple[str, ...]:
    """The texts in the flat or nested list `data`."""
    # As objects: numpy's own texts all take the room of the longest
    values = np.array(data, dtype=object).ravel().tolist() if isinstance(data, list) else None
    if values is None or not all(isinstance(text, str) for text in values):
        raise InputError(
            f"the data of the input {name!r:.80} must be a list of texts, found {data!r:.80}",
            hint='["A text."]',
        )
    return tuple(values)


def _binary_texts(raw: memoryview, name: str) -> tuple[str, ...]:
    texts: list[str] = []
    position = 0
    while position < len(raw):
        size = int.from_bytes(raw[position : position + _SIZE_BYTES], "little")
        position += _SIZE_BYTES
        if position + size > len(raw):
            raise InputError(
                f"text {len(texts)} of the input {name!r:.80} should have {size} bytes, found {len(raw) - position}",
                hint="each text has its size in front, in four bytes, the lowest first",
            )
        try:
            texts.append(str(raw[position : position + size], "utf-8"))
        except UnicodeDecodeError as cause:
            raise InputError(
                f"text {len(texts)} of the input {name!r:.80} is not UTF-8: {cause}",
                hint="encode it as UTF-8",
            ) from cause
        position += size
    return tuple(texts)


def by_name(tensors: list[InputTensor]) -> Mapping[str, Array | tuple[str, ...]]:
    """The values by the tensor's name; InputError for a name that occurs twice."""
    values = {tensor.name: tensor.values for tensor in tensors}
    if len(values) < len(tensors):
        raise InputError("an input has the name of another one", hint="pass each input once")
    return values
