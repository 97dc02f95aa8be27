"""A graph may keep weights only in the variant's own files, wherever in the graph they are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from distilforge import ReleaseError, onnx_fields
from distilforge.checks import external_data, onnx_file
from distilforge.manifest import Variant
from distilforge.onnxruntime import engine
from onnx import TensorProto, helper, numpy_helper

FILES = ("onnx/model.onnx", "onnx/model.onnx_data")
VARIANT = Variant(target="onnxruntime-cpu", precision="fp32", files=FILES)
Place = Callable[[onnx.ModelProto, TensorProto], None]


def _initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def _constant(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def _branch(model: onnx.ModelProto, tensor: TensorProto) -> None:
    branch = helper.make_graph([], "branch", [], [], initializer=[tensor])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch))


def _function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    model.functions.append(helper.make_function("own", "f", [], ["c"], [node], [helper.make_opsetid("", 20)]))


def _sparse(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)


def write(folder: Path, place: Place, location: str) -> None:
    """Write a model with a tensor at `place` whose values are at `location`."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
    model = helper.make_model(helper.make_graph([], "g", [value], [value]))
    place(model, tensor)
    (folder / "onnx").mkdir()
    (folder / FILES[0]).write_bytes(model.SerializeToString())


PLACES = pytest.mark.parametrize("place", [_initializer, _constant, _branch, _function, _sparse])


@PLACES
def test_the_variants_own_file(tmp_path: Path, place: Place) -> None:
    write(tmp_path, place, "model.onnx_data")
    onnx_file.check(tmp_path, VARIANT, FILES[0])
    assert external_data.locations(tmp_path / FILES[0]) == {"model.onnx_data"}


@PLACES
@pytest.mark.parametrize(
    "location",
    ["../secret", "/etc/passwd", "other", "", "*/_ORT_MEM_ADDR_/*", "../onnx/../../model.onnx_data"],
)
def test_another_file_is_refused(tmp_path: Path, place: Place, location: str) -> None:
    write(tmp_path, place, location)
    with pytest.raises(ReleaseError, match=r"keeps weights in .* not one of the files"):
        onnx_file.check(tmp_path, VARIANT, FILES[0])


def test_a_session_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    """The engine that is installed may refuse it as well, and the oldest that is allowed does not."""
    (tmp_path / "secret").write_bytes(b"s" * 16)
    release = tmp_path / "release"
    release.mkdir()
    write(release, _initializer, "../../secret")
    with pytest.raises(ReleaseError, match=r"keeps weights in '\.\./\.\./secret'"):
        engine.new_session(VARIANT, release, engine.new_options(1), (engine.CPU,))


def test_another_format_is_refused(tmp_path: Path) -> None:
    variant = Variant(target="onnxruntime-cpu", precision="fp32", files=("onnx/model.ort",))
    with pytest.raises(ReleaseError, match=r"must have a name that ends in \.onnx"):
        onnx_file.check(tmp_path, variant, variant.files[0])


@pytest.mark.parametrize("content", [b"", b"\x3a\xff", b"\x0b"])
def test_bytes_that_are_not_a_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / FILES[0]).write_bytes(content)
    with pytest.raises(ReleaseError, match="is not a readable ONNX file"):
        onnx_file.check(tmp_path, VARIANT, FILES[0])


def test_a_number_that_other_readers_shorten_is_refused() -> None:
    """protobuf drops the bits above the 32nd, so that this is field 13 to ONNX Runtime."""
    tag = (1 << 32) + (13 << 3) + 2
    message = bytes([tag & 0x7F | 0x80, *[tag >> shift & 0x7F | 0x80 for shift in (7, 14, 21)], tag >> 28, 0])
    with pytest.raises(ValueError, match="too large a number"):
        list(onnx_fields.fields(memoryview(message)))
