"""A graph of a stranger must not bring a private file into the output."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.errors import UsageError
from pipeline.stages import single_graph


def write(folder: Path, location: str, *, in_node: bool) -> Path:
    """A graph in the new `folder` whose one tensor has its values at `location`."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    nodes = [helper.make_node("Constant", [], ["y"], value=tensor)] if in_node else []
    graph = helper.make_graph(nodes, "g", [], [output], initializer=[] if in_node else [tensor])
    folder.mkdir()
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize("in_node", [False, True])
@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("../secret", "which lies outside the model's folder"),
        ("link", "which is a link to .*secret, outside its folder"),
        ("absent", "which is not beside it"),
    ],
)
def test_weights_that_are_not_beside_the_graph(
    tmp_path: Path, location: str, problem: str, in_node: bool
) -> None:
    (tmp_path / "secret").write_bytes(b"secret, 16 bytes")
    path = write(tmp_path / "graph", location, in_node=in_node)
    (path.parent / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match=rf"keeps weights in '{location}', {problem}"):
        single_graph.fuse(path, ("constants",), tmp_path / "output.onnx")
    assert not (tmp_path / "output.onnx").exists()
