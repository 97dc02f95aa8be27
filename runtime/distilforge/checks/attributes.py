"""Which value an attribute in an ONNX file has, where no two readers may see different ones.

Readers take the value by the attribute's type, by its name, or as the first that they find, and they merge messages
that are written twice. The numbers here are the fields of onnx/onnx.proto.
"""

from collections.abc import Mapping

from distilforge.onnx_fields import Bytes, fields

INT, TENSOR, GRAPH, INTS, GRAPHS, REFERENCE, SPARSE, SPARSES = 3, 5, 6, 8, 11, 21, 22, 23
"""The fields with a value of each kind; that of REFERENCE is the attribute of the call of a function."""
_FLOAT, _TEXT, _FLOATS, _TEXTS, _TENSORS, _TYPE_PROTO, _TYPE_PROTOS = 2, 4, 7, 9, 10, 14, 15
_TYPE = 20
_SINGLE = frozenset((INT, TENSOR, GRAPH, REFERENCE, SPARSE, _TEXT, _TYPE_PROTO))
# By AttributeProto.AttributeType
_OF_TYPE: Mapping[int | Bytes, int] = {
    1: _FLOAT, 2: INT, 3: _TEXT, 4: TENSOR, 5: GRAPH, 6: _FLOATS, 7: INTS, 8: _TEXTS, 9: _TENSORS, 10: GRAPHS,
    11: SPARSE, 12: SPARSES, 13: _TYPE_PROTO, 14: _TYPE_PROTOS,
}  # fmt: skip
_VALUES = frozenset((*_OF_TYPE.values(), REFERENCE))


def field_of(attribute: Bytes) -> int:
    """The field that has the value of an AttributeProto, or 0 for an empty list and for floats.

    Raises ValueError where there are two values, or one of another type than the attribute says.
    """
    found, kind = 0, 0
    for number, value in fields(attribute):
        if number == _TYPE and isinstance(value, int):
            kind = value
        elif number in _VALUES and not (number == REFERENCE and _is_empty(value)):
            if found not in (0, number) or (found and number in _SINGLE):
                raise ValueError("an attribute in it has two values")
            found = number
    if kind and found not in (0, REFERENCE, _OF_TYPE.get(kind)):
        raise ValueError("an attribute in it has a value of another type than it says")
    return found


def _is_empty(value: int | Bytes) -> bool:
    return not isinstance(value, int) and len(value) == 0
