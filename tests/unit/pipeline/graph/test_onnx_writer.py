"""Writing a file with its weights inside: the same content as protocol buffers' own writer."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest

from pipeline.graph import onnx_writer
from pipeline.graph.builder import describe, initializer
from pipeline.graph.file import Graph


def make(*arrays: np.ndarray) -> Graph:
    """The sum of `arrays`, each an initializer, and of the input x."""
    x = onnx_ir.Value(
        name="x", shape=onnx_ir.Shape(["n", 3]), type=onnx_ir.TensorType(onnx_ir.DataType.FLOAT)
    )
    graph = onnx_ir.Model(
        onnx_ir.Graph([x], [], nodes=[], opset_imports={"": 20}, name="inner"),
        ir_version=10,
        producer_name="somebody",
    )
    weights = [initializer(graph, f"weight_{index}", array) for index, array in enumerate(arrays)]
    node = onnx_ir.node("Sum", [x, *weights], name="sum")
    graph.graph.append(node)
    graph.graph.outputs.append(describe(node.outputs[0], x.shape, x.dtype))
    return graph


def read(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("rows", [0, 1, 42, 43, 5000])  # lengths of one, two and three bytes
def test_the_content_is_that_of_the_usual_writer(rows: int, tmp_path: Path) -> None:
    graph = make(np.arange(rows * 3, dtype=np.float32).reshape(rows, 3), np.array(2, np.float32))
    onnx_writer.write(graph, tmp_path / "ours.onnx")
    onnx_ir.save(graph, tmp_path / "theirs.onnx")
    assert onnx.load(tmp_path / "ours.onnx") == onnx.load(tmp_path / "theirs.onnx")


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint8, np.int64, np.bool_])
def test_other_types(dtype: type[np.generic], tmp_path: Path) -> None:
    array = np.array([[1, 0, 1]]).astype(dtype)
    onnx_writer.write(make(array), tmp_path / "model.onnx")
    stored = read(tmp_path / "model.onnx")["weight_0"]
    assert stored.dtype == array.dtype
    assert np.array_equal(stored, array)


def test_a_transposed_view_is_written_as_it_reads(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2).T
    onnx_writer.write(make(array), tmp_path / "model.onnx")
    assert np.array_equal(read(tmp_path / "model.onnx")["weight_0"], array)


def test_the_graph_is_as_it_was(tmp_path: Path) -> None:
    graph = make(np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32))
    before = onnx_ir.to_proto(graph)
    onnx_writer.write(graph, tmp_path / "model.onnx")
    assert onnx_ir.to_proto(graph) == before
    assert all(value.is_initializer() for value in graph.graph.initializers.values())


def test_the_graph_is_as_it_was_after_an_error_too(tmp_path: Path) -> None:
    graph = make(np.ones((1, 3), np.float32))
    before = onnx_ir.to_proto(graph)
    with pytest.raises(OSError, match="absent"):
        onnx_writer.write(graph, tmp_path / "absent" / "model.onnx")
    assert onnx_ir.to_proto(graph) == before
