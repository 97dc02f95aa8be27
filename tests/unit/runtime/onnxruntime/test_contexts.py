"""An engine inside an ONNX file may name only the variant's own files."""

from pathlib import Path

import onnx
import pytest
from distilforge import ReleaseError
from distilforge.manifest import Variant
from distilforge.onnxruntime import contexts
from onnx import TensorProto, helper

FILES = ("engine/context.onnx", "engine/model.engine")
VARIANT = Variant(target="onnxruntime-tensorrt", precision="fp16", files=FILES)


def write(folder: Path, *, nested: bool = False, **attributes: str | int) -> None:
    """Write a model with an EPContext node that has `attributes`, in the body of an If where it is `nested`."""
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", **attributes)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    if nested:
        branch = helper.make_graph([node], "branch", [], [output])
        node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    (folder / "engine").mkdir()
    onnx.save(helper.make_model(helper.make_graph([node], "g", [value], [output])), folder / FILES[0])


def test_the_variants_own_file(tmp_path: Path) -> None:
    write(tmp_path, embed_mode=0, ep_cache_context="model.engine", onnx_model_filename="model.onnx")
    contexts.check(tmp_path, VARIANT)


def test_an_engine_inside_the_file(tmp_path: Path) -> None:
    write(tmp_path, embed_mode=1, ep_cache_context="/bytes/of/an/engine")
    contexts.check(tmp_path, VARIANT)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", ["../model.engine", "/etc/passwd", "sub/model.engine", "C:model", "..", ""])
def test_a_path_is_refused(tmp_path: Path, name: str, nested: bool) -> None:
    write(tmp_path, nested=nested, embed_mode=0, ep_cache_context=name)
    with pytest.raises(ReleaseError, match="must be a plain file name"):
        contexts.check(tmp_path, VARIANT)


@pytest.mark.parametrize("attribute", ["onnx_model_filename", "partition_name"])
def test_a_path_in_a_name_is_refused(tmp_path: Path, attribute: str) -> None:
    write(tmp_path, embed_mode=1, ep_cache_context="engine", **{attribute: "../../x"})
    with pytest.raises(ReleaseError, match=f"has the {attribute} '../../x'; it must be a plain file name"):
        contexts.check(tmp_path, VARIANT)


def test_a_file_that_is_not_the_variants(tmp_path: Path) -> None:
    write(tmp_path, embed_mode=0, ep_cache_context="other.engine")
    with pytest.raises(ReleaseError, match=r"names the file 'engine/other\.engine', which is not one of"):
        contexts.check(tmp_path, VARIANT)


@pytest.mark.parametrize("name", ["embed_mode", "ep_cache_context"])
def test_an_attribute_with_two_values_is_refused(tmp_path: Path, name: str) -> None:
    """Here the value of the attribute's own type counts for ONNX Runtime, and the last one for a reader of fields."""
    write(tmp_path, embed_mode=0, ep_cache_context="/etc/passwd")
    model = onnx.load(tmp_path / FILES[0], load_external_data=False)
    (attribute,) = (entry for entry in model.graph.node[0].attribute if entry.name == name)
    attribute.i, attribute.s = 0, b"model.engine"
    (tmp_path / FILES[0]).write_bytes(model.SerializeToString())
    with pytest.raises(ReleaseError, match=f"more than one value of '{name}'"):
        contexts.check(tmp_path, VARIANT)


def test_an_attribute_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, embed_mode=0, ep_cache_context="/etc/passwd")
    model = onnx.load(tmp_path / FILES[0], load_external_data=False)
    model.graph.node[0].attribute.append(helper.make_attribute("embed_mode", 1))
    (tmp_path / FILES[0]).write_bytes(model.SerializeToString())
    with pytest.raises(ReleaseError, match="more than one value of 'embed_mode'"):
        contexts.check(tmp_path, VARIANT)


@pytest.mark.parametrize("embed_mode", [2, -1, "1"])
def test_an_unknown_mode_counts_as_a_file(tmp_path: Path, embed_mode: int | str) -> None:
    write(tmp_path, embed_mode=embed_mode, ep_cache_context="/etc/passwd")
    with pytest.raises(ReleaseError, match="must be a plain file name"):
        contexts.check(tmp_path, VARIANT)


def test_engines_are_refused_where_only_graphs_are_expected(tmp_path: Path) -> None:
    write(tmp_path, embed_mode=1, ep_cache_context="engine")
    with pytest.raises(ReleaseError, match="has an engine"):
        contexts.check_absent(tmp_path, VARIANT)


def test_a_graph_without_engines_passes(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / FILES[0]).write_bytes(
        helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString()
    )
    contexts.check_absent(tmp_path, VARIANT)


@pytest.mark.parametrize("content", [b"", b"EPContext", b"\x3a\xffEPContext"])
def test_bytes_that_are_not_a_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / FILES[0]).write_bytes(content)
    with pytest.raises(ReleaseError, match="is not a readable ONNX file"):
        contexts.check(tmp_path, VARIANT)
