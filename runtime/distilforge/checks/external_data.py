"""Finds where an ONNX file keeps its weights, before an engine reads them.

A tensor can name a file with its values, and some engines, such as ONNX Runtime 1.21.1, read it wherever it is.
ONNX files are protocol buffers; the numbers here are the fields of onnx/onnx.proto.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from distilforge.onnx_fields import Bytes, fields, mapped, name

_LOCATION = b"location"
_TENSOR, _ENTRY = "tensor", "entry"
# The fields of each message that lead to a tensor. Those of an attribute: t, g, tensors, graphs, sparse_tensor(s)
_BELOW: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
}
# Searched instead of read field by field: without the word, there is no location
_SEARCHED = ("node", "function")
_MOST_LEVELS = 64


def locations(path: Path) -> frozenset[str]:
    """The files with weights that the ONNX file `path` names, relative to its folder.

    Raises ValueError if it is not an ONNX file, and OSError if it cannot be read.
    """
    return frozenset(_locations(memoryview(mapped(path)), "model", _MOST_LEVELS))


def _locations(message: Bytes, kind: str, levels: int) -> Iterator[str]:
    """The locations of external data in a message of the kind `kind`, and in all messages below it."""
    if levels == 0:
        raise ValueError(f"its messages are nested more than {_MOST_LEVELS} deep")
    below = _BELOW[kind]
    for number, value in fields(message):
        if isinstance(value, int) or number not in below:
            continue
        inner = below[number]
        if inner == _ENTRY:
            yield from _location(value)
        elif inner not in _SEARCHED or _LOCATION in bytes(value):
            yield from _locations(value, inner, levels - 1)


def _location(entry: Bytes) -> Iterator[str]:
    """The value of an entry of external_data whose key is "location"."""
    parts = {number: name(value) for number, value in fields(entry) if not isinstance(value, int)}
    if parts.get(1) == _LOCATION.decode():
        yield parts.get(2, "")
