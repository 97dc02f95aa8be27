"""The committed plans for devices, applied to every head and answered by ONNX Runtime's CPU provider, their oracle."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from distilforge.manifest import Span

from model_src import heads
from pipeline import targets
from pipeline.graph.file import Graph, check, domains
from pipeline.recipe.plan import preset
from pipeline.stages.transform import transform
from tests import exports
from tests.graphs import LAYERS, answer, axes, calibration, exported, feeds, make_model, relative_error

CUDA, RTX, TRT = "onnxruntime-cuda", "tensorrt-rtx", "tensorrt"
PROVIDERS = ("onnxruntime-rtx", "onnxruntime-tensorrt")
PLANS = [(RTX, "fp32"), (RTX, "fp16"), (RTX, "int8"), (CUDA, "fp16")]
# Of the answers' root mean square, on models of two layers with random weights
NEAR = {"fp32": 1e-5, "fp16": 0.01, "int8": 0.1}


def operators(graph: Graph) -> Counter[str]:
    return Counter(node.op_type for node in graph.graph)


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize(("target", "precision"), PLANS)
def test_a_plan_applies_to_every_head_and_its_graph_answers_on_the_cpu(
    target: str, precision: str, head: str
) -> None:
    graph, inputs = exported(head), feeds(head, 3, 9, seed=50)
    expected = answer(graph, inputs)
    done = transform(graph, preset(target, precision, head), calibration(head))
    check(graph)
    assert all(done.verdicts)
    assert domains(graph) <= targets.targets.find(target).domains
    counts = operators(graph)
    fused = counts["Attention"] + counts["MultiHeadAttention"]
    assert fused == (0 if precision == "fp32" else LAYERS)
    assert counts["Softmax"] == (LAYERS if precision == "fp32" else 0)
    for given, wanted in zip(answer(graph, inputs), expected, strict=True):
        assert given.dtype == np.float32
        assert relative_error(given, wanted) < NEAR[precision]


@pytest.mark.parametrize("given", [("batch",), ("sequence",), ("batch", "sequence")], ids="-".join)
@pytest.mark.parametrize(
    ("target", "precision"), [("onnxruntime-cpu", "int8"), ("openvino", "int8"), (CUDA, "fp16")]
)
def test_a_plan_applies_where_an_axis_has_one_size(
    target: str, precision: str, given: tuple[str, ...]
) -> None:
    head, sizes = "sequence_classification", {"batch": 1, "sequence": 9}
    fixed = {axis: Span(low=sizes[axis], usual=sizes[axis], high=sizes[axis]) for axis in given}
    model = make_model(head)
    graph = onnx_ir.from_proto(onnx.load_from_string(exports.exported(model, axes(head, **fixed))))
    batches = [feeds(head, 1, 9, seed=seed) for seed in range(20)]
    (expected,) = answer(graph, batches[0])
    transform(graph, preset(target, precision, head), lambda: batches)
    check(graph)
    (given_answer,) = answer(graph, batches[0])
    assert relative_error(given_answer, expected) < NEAR[precision]
    assert operators(graph)["SkipLayerNormalization"] == (1 + 2 * LAYERS if target == CUDA else 0)


@pytest.mark.parametrize("head", heads.names())
def test_the_cuda_plan_has_one_node_for_each_kernel_and_sums_in_float32(head: str) -> None:
    graph = exported(head)
    plan = preset(CUDA, "fp16", head)
    transform(graph, plan, calibration(head))
    counts = operators(graph)
    # The embeddings' and two of each layer; a masked language model's own follows no sum
    assert counts["SkipLayerNormalization"] == 1 + 2 * LAYERS
    assert counts["LayerNormalization"] == (head == "masked_lm")
    # Attention projects queries, keys and values itself, but for a last layer that has one query
    narrowed = "first_token" in plan.passes
    assert counts["Attention"] == LAYERS - narrowed
    assert sum("kv_lin/MatMul" in str(node.name) for node in graph.graph) == narrowed
    assert plan.session == {
        "provider.enable_cuda_graph": "1",
        "provider.enable_skip_layer_norm_strict_mode": "1",
    }
    for node in graph.graph:
        if node.op_type == "SkipLayerNormalization":
            assert {value.dtype for value in node.inputs if value is not None} == {onnx_ir.DataType.FLOAT16}


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize("other", [TRT, *PROVIDERS])
def test_whatever_runs_engines_of_tensorrt_is_given_the_same_graph(other: str, head: str) -> None:
    for precision in targets.targets.find(RTX).precisions:
        assert preset(RTX, precision, head) == preset(other, precision, head)


def test_the_cuda_target_writes_what_clients_look_for_and_is_its_own_oracle(tmp_path: Path) -> None:
    graph = exported()
    transform(graph, preset(CUDA, "fp16", "sequence_classification"), calibration())
    target = targets.find(CUDA, "fp16")
    assert target.device
    assert targets.compile_graph(target, graph, "fp16", tmp_path) == ("onnx/model_fp16.onnx",)
    assert (tmp_path / "onnx" / "model_fp16.onnx").is_file()
