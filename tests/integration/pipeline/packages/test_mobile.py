"""A model in ORT format answers bit for bit as its ONNX graph, and names the operators that it uses."""

import re
from pathlib import Path

import onnx_ir
import pytest

from pipeline.errors import StageError
from pipeline.packages import mobile
from pipeline.packages.assembly import testing
from tests.integration.pipeline.packages.packaging import make, random_release

HEAD = "token_classification"


def test_the_package_answers_its_examples_and_lists_its_operators(tmp_path: Path) -> None:
    package = make("mobile", random_release(HEAD), tmp_path / "package")
    result = testing.run(package.record, package.folder)
    assert result.examples == 2
    assert result.client.startswith("onnxruntime ")
    operators = (package.folder / mobile.OPERATORS).read_text()
    assert str(tmp_path) not in operators
    assert "/tmp" not in operators
    listed = set(re.findall(r"[;,}](\w+)(?=[,{\n])", operators))
    assert {"LayerNormalization", "Gather", "Softmax"} <= listed
    readme = (package.folder / "README.md").read_text()
    assert "No phone" in readme
    assert "VNNI" not in readme


def test_a_model_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    package = make("mobile", random_release(HEAD), tmp_path / "package")
    graph = onnx_ir.load(random_release(HEAD) / "onnx" / "model.onnx")
    (bias,) = (value for name, value in graph.graph.initializers.items() if name.endswith("classifier.bias"))
    assert bias.const_value is not None
    bias.const_value = onnx_ir.tensor(bias.const_value.numpy() + 1e-6, name=bias.name)
    onnx_ir.save(graph, tmp_path / "other.onnx")
    with pytest.raises(StageError, match="must be equal bit for bit"):
        mobile._check_equal(
            tmp_path / "other.onnx", package.folder / mobile.MODEL, mobile._examples(package.folder)
        )
