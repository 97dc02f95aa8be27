"""Writes a graph of one matrix product without the onnx package, which applications do not have.

ONNX files are protocol buffers; the numbers here are the fields of onnx/onnx.proto (IR version 8, opset 13).
"""

import numpy as np
import numpy.typing as npt

IR_VERSION, OPSET = 8, 13
_UINT8, _INT8, _INT32 = 2, 3, 6


def matmul_integer(weights: npt.NDArray[np.int8]) -> bytes:
    """A model that multiplies its input "activations" (rows, K), uint8, by the constant `weights` (K, columns)."""
    inner, columns = weights.shape
    tensor = _message(
        (1, inner), (1, columns), (2, _INT8), (8, b"weights"), (9, np.ascontiguousarray(weights).tobytes())
    )
    node = _message((1, b"activations"), (1, b"weights"), (2, b"product"), (4, b"MatMulInteger"))
    graph = _message(
        (1, node),
        (2, b"product"),
        (5, tensor),
        (11, _matrix(b"activations", _UINT8, inner)),
        (12, _matrix(b"product", _INT32, columns)),
    )
    return _message((1, IR_VERSION), (7, graph), (8, _message((1, b""), (2, OPSET))))


def _matrix(name: bytes, kind: int, columns: int) -> bytes:
    """A ValueInfoProto of a matrix with any number of rows."""
    shape = _message((1, _message((2, b"rows"))), (1, _message((1, columns))))
    return _message((1, name), (2, _message((1, _message((1, kind), (2, shape))))))


def _message(*fields: tuple[int, int | bytes]) -> bytes:
    """Encode fields by number: whole numbers as varints; bytes, texts and messages after their length."""
    encoded = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            encoded += varint(number << 3) + varint(value)
        else:
            encoded += varint(number << 3 | 2) + varint(len(value)) + value
    return bytes(encoded)


def varint(value: int) -> bytes:
    """Encode a whole number of at least 0: seven bits per byte, lowest first; the high bit says that more follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
