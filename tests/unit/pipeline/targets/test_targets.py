"""Targets: what they accept, and the one for ONNX Runtime on the CPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir
import onnxruntime
import pytest

from pipeline import targets
from pipeline.errors import MissingError, UsageError
from pipeline.graph.file import Graph


def graph(operator: str = "Relu", domain: str = "") -> Graph:
    x = onnx_ir.Value(name="x", shape=onnx_ir.Shape(["n"]), type=onnx_ir.TensorType(onnx_ir.DataType.FLOAT))
    node = onnx_ir.Node(domain, operator, [x], name="node")
    node.outputs[0].name = "y"
    node.outputs[0].shape, node.outputs[0].type = x.shape, x.type
    inner = onnx_ir.Graph(
        [x], [node.outputs[0]], nodes=[node], opset_imports={"": 20, domain: 1 if domain else 20}
    )
    return onnx_ir.Model(inner, ir_version=10)


def test_names_are_listed() -> None:
    assert "onnxruntime-cpu" in targets.targets.names()
    assert "fp32" in targets.precisions()


@pytest.mark.parametrize(
    ("target", "precision", "message"),
    [
        ("onnxruntime-cpi", "fp32", "unknown target 'onnxruntime-cpi'(?s:.*)did you mean 'onnxruntime-cpu'"),
        ("onnxruntime-cpu", "fp3", "unknown precision 'fp3'(?s:.*)did you mean 'fp32'"),
    ],
)
def test_unknown_names_suggest_the_nearest(target: str, precision: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        targets.find(target, precision)


def test_a_missing_package_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    imaginary = replace(
        targets.find("onnxruntime-cpu", "fp32"), name="imaginary", packages=("no-such-engine",)
    )
    # A new registry, so that later tests do not have this target
    registry = targets.Registry[targets.Target]("target", "pipeline.targets")
    monkeypatch.setattr(targets, "targets", registry)
    registry.add(imaginary)
    registry._imported = True
    with pytest.raises(
        MissingError, match=r"needs the package no-such-engine(?s:.*)pip install no-such-engine"
    ):
        targets.find("imaginary", "fp32")


def test_onnxruntime_cpu_writes_what_clients_look_for(tmp_path: Path) -> None:
    cpu = targets.find("onnxruntime-cpu", "fp32")
    assert targets.compile_graph(cpu, graph(), "fp32", tmp_path) == ("onnx/model.onnx",)
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    (y,) = session.run(None, {"x": np.array([-1, 2], np.float32)})
    assert y.tolist() == [0, 2]


def test_a_graph_that_onnxruntime_cannot_load_fails_the_stage(tmp_path: Path) -> None:
    cpu = targets.find("onnxruntime-cpu", "fp32")
    with pytest.raises(Exception, match="NoSuchOperator"):
        targets.compile_graph(cpu, graph("NoSuchOperator"), "fp32", tmp_path)


def test_operators_of_a_domain_that_the_target_does_not_know_are_refused(tmp_path: Path) -> None:
    cpu = targets.find("onnxruntime-cpu", "fp32")
    with pytest.raises(
        UsageError, match=r"onnxruntime-cpu does not run trt\.plugins\.Attention, which"
    ) as caught:
        targets.compile_graph(cpu, graph("Attention", "trt.plugins"), "fp32", tmp_path)
    assert caught.value.hint.startswith("leave these passes out of the plan")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["onnxruntime-cpu", "onnxruntime-cuda", "openvino", "onnxruntime-rtx"])
def test_an_input_that_applications_do_not_know_is_refused(name: str, tmp_path: Path) -> None:
    asking = graph()
    asking.graph.inputs.append(onnx_ir.val("kept_tokens", onnx_ir.DataType.INT64, ["kept_tokens"]))
    with pytest.raises(UsageError, match=rf"{name} is run by applications, which do not feed") as caught:
        targets.compile_graph(targets.targets.find(name), asking, "fp16", tmp_path)
    assert "drop_padding alone" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_openvino_writes_an_onnx_file_that_it_can_compile(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    openvino = targets.find("openvino", "fp32")
    assert targets.compile_graph(openvino, graph(), "fp32", tmp_path) == ("openvino/model_fp32.onnx",)
    with pytest.raises(RuntimeError, match="NoSuchOperator"):
        targets.compile_graph(openvino, graph("NoSuchOperator"), "int8", tmp_path)


def test_the_packages_of_targets_are_named_once() -> None:
    assert targets.packages_of(["onnxruntime-cpu", "onnxruntime-cuda"]) == ("onnxruntime",)
    assert targets.packages_of(["openvino"]) == ("openvino",)
    assert targets.packages_of([]) == ()
