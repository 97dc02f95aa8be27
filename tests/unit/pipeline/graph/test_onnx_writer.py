"""Writing a file with its weights inside: the same content as protocol buffers' own writer."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest

from pipeline.graph import onnx_writer
from pipeline.graph.file import Graph


def make(*arrays: np.ndarray) -> Graph:
    """The sum of `arrays`, each an initializer, and of the input x."""
    x = onnx_ir.Value(
        name="x", shape=onnx_ir.Shape(["n", 3]), type=onnx_ir.TensorType(onnx_ir.DataType.FLOAT)
    )
    values = [
        onnx_ir.Value(
            name=f"weight_{index}",
            shape=onnx_ir.Shape(array.shape),
            type=onnx_ir.TensorType(onnx_ir.DataType.from_numpy(array.dtype)),
            const_value=onnx_ir.tensor(array, name=f"weight_{index}"),
        )
        for index, array in enumerate(arrays)
    ]
    node = onnx_ir.Node("", "Sum", [x, *values], name="sum")
    node.outputs[0].name = "y"
    node.outputs[0].shape, node.outputs[0].type = x.shape, x.type
    inner = onnx_ir.Graph(
        [x], [node.outputs[0]], nodes=[node], initializers=values, opset_imports={"": 20}, name="inner"
    )
    return onnx_ir.Model(inner, ir_version=10, producer_name="somebody")


def read(path: Path) -> dict[str, np.ndarray]:
    return {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("rows", [0, 1, 42, 43, 5000])  # lengths of one, two and three bytes
def test_the_content_is_that_of_the_usual_writer(rows: int, tmp_path: Path) -> None:
    made = make(np.arange(rows * 3, dtype=np.float32).reshape(rows, 3), np.array(2, np.float32))
    onnx_writer.write(made, tmp_path / "ours.onnx")
    onnx_ir.save(made, tmp_path / "theirs.onnx")
    assert onnx.load(tmp_path / "ours.onnx") == onnx.load(tmp_path / "theirs.onnx")


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint8, np.int64, np.bool_])
def test_other_types(dtype: type[np.generic], tmp_path: Path) -> None:
    array = np.array([[1, 0, 1]]).astype(dtype)
    onnx_writer.write(make(array), tmp_path / "model.onnx")
    found = read(tmp_path / "model.onnx")["weight_0"]
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_a_transposed_view_is_written_as_it_reads(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2).T
    onnx_writer.write(make(array), tmp_path / "model.onnx")
    assert np.array_equal(read(tmp_path / "model.onnx")["weight_0"], array)


def test_the_graph_is_as_it_was(tmp_path: Path) -> None:
    made = make(np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32))
    before = onnx_ir.to_proto(made)
    onnx_writer.write(made, tmp_path / "model.onnx")
    assert onnx_ir.to_proto(made) == before
    assert all(value.is_initializer() for value in made.graph.initializers.values())


def test_the_graph_is_as_it_was_after_an_error_too(tmp_path: Path) -> None:
    made = make(np.ones((1, 3), np.float32))
    before = onnx_ir.to_proto(made)
    with pytest.raises(OSError, match="absent"):
        onnx_writer.write(made, tmp_path / "absent" / "model.onnx")
    assert onnx_ir.to_proto(made) == before
