"""Which onnxruntime is used."""

import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from distilforge.errors import EngineError, UnavailableError
from distilforge.manifest import Variant
from distilforge.onnxruntime import engine
from distilforge.versions import is_older
from onnx import TensorProto, helper, numpy_helper

PROJECT = Path(__file__).parents[4] / "runtime" / "pyproject.toml"


@pytest.mark.parametrize(
    ("version", "older"),
    [
        ("1.20.0", True),
        ("1.21.0", True),
        ("1.9.9", True),
        ("1.21", True),
        ("1.21.1", False),
        ("1.22.0", False),
        ("1.23.0.dev20250101001", False),
        ("2.0", False),
    ],
)
def test_versions_before_the_oldest(version: str, older: bool) -> None:
    assert is_older(version, engine.OLDEST) == older


def test_the_package_asks_for_the_oldest_that_is_used() -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    assert f"onnxruntime>={engine.OLDEST}" in project["dependencies"]


def test_an_old_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine.prepare()
    monkeypatch.setattr(onnxruntime, "__version__", "1.21.0")
    with pytest.raises(UnavailableError, match=r"onnxruntime 1\.21\.0 is too old") as refusal:
        engine.prepare()
    assert "onnxruntime>=1.21.1" in refusal.value.hint


def test_names_of_a_graph_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime prints them where it drops a weight, and where a node fails."""
    name = "\x1b]0;owned\x07"
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m", 7])
    weights = [
        numpy_helper.from_array(np.array([-1, 7]), "shape"),
        numpy_helper.from_array(np.zeros(3), name),
    ]
    node = helper.make_node("Reshape", ["x", "shape"], ["y"], name=name)
    graph = helper.make_graph([node], "g", [value], [answer], initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    variant = Variant(target="onnxruntime-cpu", precision="fp32", files=("model.onnx",))
    session = engine.new_session(variant, tmp_path, engine.new_options(1), (engine.CPU,))
    with pytest.raises(EngineError, match="owned"):
        engine.engine_of(session, (engine.CPU,)).run({"x": np.zeros(3, np.float32)})
    assert capfd.readouterr() == ("", "")
