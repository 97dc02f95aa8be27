"""Files of weights beside an ONNX file that cannot be used: each is one error, which names the file."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.errors import UsageError
from pipeline.graph import file as graph_file

ROWS, COLUMNS = 100, 16
SIZE = ROWS * COLUMNS * 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A graph that keeps its only weight, of SIZE bytes, in w.onnx_data."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["w", "input_ids"], ["y"])],
        "g",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", COLUMNS])],
        [numpy_helper.from_array(np.ones((ROWS, COLUMNS), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path / "model"
    folder.mkdir()
    onnx.save(
        model,
        folder / "w.onnx",
        save_as_external_data=True,
        location="w.onnx_data",
        size_threshold=0,
        convert_attribute=True,
    )
    return folder / "w.onnx"


def with_entry(path: Path, key: str, value: str) -> None:
    """Change what the file at `path` says about its weight."""
    model = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry.value for entry in model.graph.initializer[0].external_data} | {key: value}
    del model.graph.initializer[0].external_data[:]
    for name, text in entries.items():
        model.graph.initializer[0].external_data.add(key=name, value=text)
    path.write_bytes(model.SerializeToString())


def test_whole_data_are_read(path: Path) -> None:
    weight = graph_file.load(path).graph.initializers["w"].const_value
    assert weight is not None
    assert weight.numpy().sum() == ROWS * COLUMNS


def test_data_that_were_cut_short_are_refused_with_both_sizes(path: Path) -> None:
    path.with_name("w.onnx_data").write_bytes(b"0" * 1000)
    with pytest.raises(
        UsageError, match=f"'w.onnx_data', which has 1000 bytes; the weights need {SIZE}"
    ) as caught:
        graph_file.load(path)
    assert "copy it again" in caught.value.hint


def test_data_that_are_absent_are_refused(path: Path) -> None:
    path.with_name("w.onnx_data").unlink()
    with pytest.raises(UsageError, match=r"'w\.onnx_data', which is not beside it"):
        graph_file.load(path)


@pytest.mark.parametrize("in_a_branch", [False, True])
def test_data_of_a_function_are_looked_at_too(in_a_branch: bool, path: Path) -> None:
    model = onnx.load(path, load_external_data=False)
    constant = helper.make_node("Constant", [], ["c"], value=model.graph.initializer[0])
    branch = helper.make_graph([constant], "branch", [], [helper.make_empty_tensor_value_info("c")])
    choice = helper.make_node("If", ["x"], ["c"], then_branch=branch, else_branch=branch)
    inside, opset = choice if in_a_branch else constant, helper.make_opsetid("", 17)
    model.functions.append(helper.make_function("own", "f", ["x"], ["c"], [inside], [opset]))
    del model.graph.initializer[:], model.graph.node[:]
    passed_on = helper.make_node("Identity", [model.graph.input[0].name], [model.graph.output[0].name])
    model.graph.node.append(passed_on)
    path.write_bytes(model.SerializeToString())
    graph_file.load(path)
    path.with_name("w.onnx_data").unlink()
    with pytest.raises(UsageError, match=r"'w\.onnx_data', which is not beside it"):
        graph_file.load(path)


@pytest.mark.parametrize("location", ["../w.onnx_data", "/etc/passwd"])
def test_data_outside_the_folder_are_refused(location: str, path: Path) -> None:
    with_entry(path, "location", location)
    with pytest.raises(UsageError, match=f"'{location}', which lies outside the model's folder"):
        graph_file.load(path)


def test_a_link_that_leads_out_of_the_folder_is_refused(path: Path) -> None:
    data = path.with_name("w.onnx_data")
    data.rename(path.parents[1] / "elsewhere")
    data.symlink_to("../elsewhere")
    with pytest.raises(UsageError, match=r"which is a link to .*elsewhere") as caught:
        graph_file.load(path)
    assert "cp -rL" in caught.value.hint


def test_a_file_with_a_second_name_is_refused(path: Path) -> None:
    os.link(path.with_name("w.onnx_data"), path.parents[1] / "second")
    with pytest.raises(UsageError, match=r"'w\.onnx_data', which has 2 hard links"):
        graph_file.load(path)


def test_a_length_that_does_not_fit_the_weight_is_refused(path: Path) -> None:
    with_entry(path, "length", "8")
    with pytest.raises(UsageError, match=f"'w' has 8 bytes from byte 0 on; its shape and type need {SIZE}"):
        graph_file.load(path)


def test_a_value_that_cannot_be_read_is_named(path: Path) -> None:
    with_entry(path, "offset", "-4")
    with pytest.raises(UsageError, match=r"w\.onnx is not a valid ONNX file: .*offset"):
        graph_file.load(path)
