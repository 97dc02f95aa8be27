"""Writing an ONNX file with its weights inside, one weight in memory at a time.

Protocol buffers' own writer holds all weights twice: in the message, and in the bytes that the message becomes.
Source: protobuf.dev, "Encoding" (a field is a tag, its length and its content); onnx.proto for the fields' numbers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import onnx
import onnx_ir
from distilforge.machine.onnx_bytes import varint

_MODEL_GRAPH = onnx.ModelProto.GRAPH_FIELD_NUMBER
_GRAPH_INITIALIZER = onnx.GraphProto.INITIALIZER_FIELD_NUMBER
_TENSOR_RAW_DATA = onnx.TensorProto.RAW_DATA_FIELD_NUMBER

_LENGTH_DELIMITED = 2

_Write = Callable[[BinaryIO], None]


def write(model: onnx_ir.Model, path: Path) -> None:
    """Write `model` to `path` with the weights of its main graph inside; `model` stays as it is. Raises OSError."""
    placeholder = onnx_ir.tensor([0.0])
    with substituted_weights(model, lambda name, tensor: placeholder):
        proto = onnx_ir.to_proto(model)
    proto.graph.ClearField("initializer")
    parts = [_initializer(value) for value in model.graph.initializers.values()]

    body = proto.graph.SerializeToString(deterministic=True)
    proto.ClearField("graph")
    graph_bytes = len(body) + sum(size for size, _ in parts)
    with path.open("wb") as stream:
        stream.write(proto.SerializeToString(deterministic=True))
        stream.write(_start(_MODEL_GRAPH, graph_bytes))
        stream.write(body)
        for _, write_tensor in parts:
            write_tensor(stream)


@contextmanager
def substituted_weights(
    model: onnx_ir.Model, substitute: Callable[[str, onnx_ir.TensorProtocol], onnx_ir.TensorProtocol]
) -> Iterator[None]:
    """Replace each weight of the main graph by the result of `substitute` for its name and tensor, inside the block."""
    initializers = [(name, value, value.const_value) for name, value in model.graph.initializers.items()]
    try:
        for name, value, tensor in initializers:
            assert tensor is not None, name
            value.const_value = substitute(name, tensor)
        yield
    finally:
        for _, value, tensor in initializers:
            value.const_value = tensor


def _initializer(value: onnx_ir.Value) -> tuple[int, _Write]:
    """The number of bytes that the initializer takes in the graph, and a function that writes them."""
    tensor = value.const_value
    assert tensor is not None, value.name
    shape = tensor.shape.numpy()
    head = onnx.TensorProto(name=value.name, data_type=int(tensor.dtype), dims=shape).SerializeToString()
    head += _start(_TENSOR_RAW_DATA, tensor.nbytes)
    start = _start(_GRAPH_INITIALIZER, len(head) + tensor.nbytes)

    def write_tensor(stream: BinaryIO) -> None:
        stream.write(start)
        stream.write(head)
        content = tensor.tobytes()
        assert len(content) == tensor.nbytes, value.name
        stream.write(content)

    return len(start) + len(head) + tensor.nbytes, write_tensor


def _start(field: int, size: int) -> bytes:
    """The tag and the length that go ahead of a field of `size` bytes."""
    return varint(field << 3 | _LENGTH_DELIMITED) + varint(size)
