"""The committed plans for OpenVINO, applied to every head and answered by ONNX Runtime."""

import numpy as np
import pytest

from model_src import heads
from pipeline import targets
from pipeline.errors import UsageError
from pipeline.graph.file import check, domains
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan, preset
from pipeline.stages.transform import transform
from tests.graphs import answer, calibration, exported, feeds, relative_error

TARGET, PLUGIN = "openvino", "onnxruntime-openvino"
# Of the answers' root mean square, on models of two layers with random weights; the graph of bf16 is that of fp32
NEAR = {"fp32": 1e-5, "bf16": 1e-5, "int8": 0.1, "int8_bf16": 0.1, "int8_7bit": 0.15}
NEEDS = {
    "fp32": (),
    "bf16": ("openvino-bf16",),
    "int8": ("openvino-exact-int8-pairs",),
    "int8_bf16": ("openvino-bf16", "openvino-exact-int8"),
    "int8_7bit": (),
}
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32", "int8_bf16": "bf16", "int8_7bit": "f32"}


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize("precision", NEAR)
def test_a_plan_applies_to_every_head(precision: str, head: str) -> None:
    graph, inputs = exported(head), feeds(head, 3, 9, seed=50)
    expected = answer(graph, inputs)
    plan = preset(TARGET, precision, head)
    assert all(transform(graph, plan, calibration(head)).verdicts)
    check(graph)
    assert domains(graph) <= targets.targets.find(TARGET).domains
    # Optimized, ONNX Runtime fuses quantized products, which saturate on x86 without VNNI
    for given, wanted in zip(answer(graph, inputs, optimized=False), expected, strict=True):
        assert given.dtype == np.float32
        assert relative_error(given, wanted) < NEAR[precision]


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize("head", heads.names())
def test_what_is_needed_and_computed_in_is_said(precision: str, head: str) -> None:
    plan = preset(TARGET, precision, head)
    assert plan.needs == NEEDS[precision]
    assert plan.session["INFERENCE_PRECISION_HINT"] == HINTS[precision]
    assert plan.weight_bits == (7 if precision == "int8_7bit" else 8)
    assert preset(PLUGIN, precision, head) == plan


def test_there_are_plans_for_every_precision_of_both() -> None:
    for name in (TARGET, PLUGIN):
        assert set(targets.targets.find(name).precisions) == NEAR.keys()


@pytest.mark.parametrize("session", [{}, {"INFERENCE_PRECISION_HINT": "f32"}])
def test_bf16_is_refused_where_the_settings_do_not_ask_for_it(session: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="would not compute in bf16"):
        schemes.find("bf16_by_engine").run(exported(), Plan(session=session), calibration())
