"""Writes graphs of one matrix product without the onnx package, which applications do not have.

ONNX files are protocol buffers; the numbers here are the fields of onnx/onnx.proto (IR version 8, opset 13).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IR_VERSION, OPSET = 8, 13
_FLOAT, _UINT8, _INT8, _INT32 = 1, 2, 3, 6


def matmul_integer(weights: npt.NDArray[np.int8]) -> bytes:
    """A model that multiplies its input "activations" (rows, K), uint8, by the constant `weights` (K, columns)."""
    inner, columns = weights.shape
    return _model(
        nodes=[_node(b"MatMulInteger", [b"activations", b"weights"], b"product")],
        constants=[_tensor(b"weights", _INT8, weights)],
        read=_matrix(b"activations", _UINT8, inner),
        written=_matrix(b"product", _INT32, columns),
    )


def quantized_matmul(weights: npt.NDArray[np.int8]) -> bytes:
    """The same product, as QuantizeLinear and DequantizeLinear say it: "activations" and "product" are float32.

    All scales are 1, so that the input consists of whole numbers from 0 to 255.
    """
    inner, columns = weights.shape
    return _model(
        nodes=[
            _node(b"QuantizeLinear", [b"activations", b"scale", b"zero"], b"stored"),
            _node(b"DequantizeLinear", [b"stored", b"scale", b"zero"], b"read"),
            _node(b"DequantizeLinear", [b"weights", b"scales", b"zeros"], b"factors"),
            _node(b"MatMul", [b"read", b"factors"], b"product"),
        ],
        constants=[
            _tensor(b"scale", _FLOAT, np.ones((), np.float32)),
            _tensor(b"zero", _UINT8, np.zeros((), np.uint8)),
            _tensor(b"weights", _INT8, weights),
            # One for each column, along the operator's default axis, 1
            _tensor(b"scales", _FLOAT, np.ones(columns, np.float32)),
            _tensor(b"zeros", _INT8, np.zeros(columns, np.int8)),
        ],
        read=_matrix(b"activations", _FLOAT, inner),
        written=_matrix(b"product", _FLOAT, columns),
    )


def _model(*, nodes: Sequence[bytes], constants: Sequence[bytes], read: bytes, written: bytes) -> bytes:
    graph = _message(
        *((1, node) for node in nodes),
        (2, b"product"),
        *((5, constant) for constant in constants),
        (11, read),
        (12, written),
    )
    return _message((1, IR_VERSION), (7, graph), (8, _message((1, b""), (2, OPSET))))


def _node(operator: bytes, inputs: Sequence[bytes], output: bytes) -> bytes:
    return _message(*((1, name) for name in inputs), (2, output), (4, operator))


def _tensor(name: bytes, kind: int, array: npt.NDArray[np.generic]) -> bytes:
    """A TensorProto of `array`, whose type is `kind`."""
    dims = ((1, size) for size in array.shape)
    return _message(*dims, (2, kind), (8, name), (9, np.ascontiguousarray(array).tobytes()))


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
