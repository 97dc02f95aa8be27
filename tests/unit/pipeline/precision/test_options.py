"""Options of a plan that a scheme does not take."""

import pytest

from pipeline.errors import OptionError, UsageError
from pipeline.precision import check_plan, schemes
from pipeline.recipe.plan import Plan
from tests.graphs import calibration, exported

INTEGERS = {"weight_bits": 7, "exact_pairs": True, "quantize_attention": True, "signed_activations": True}
PRODUCTS = {"calibration": "mse", "smoothing": 0.5}
REFUSED: dict[str, dict[str, object]] = {
    "fp8_static_fp16": INTEGERS,
    "fp16": INTEGERS | PRODUCTS,
    "bf16_by_engine": INTEGERS | PRODUCTS,
    "int8_dynamic": {"calibration": "mse", "quantize_attention": True, "signed_activations": True},
}


@pytest.mark.parametrize(
    ("scheme", "name"), [(scheme, name) for scheme, options in REFUSED.items() for name in options]
)
def test_an_option_that_would_be_ignored_is_refused(scheme: str, name: str) -> None:
    value = REFUSED[scheme][name]
    plan = Plan(**{"scheme": scheme, name: value})  # type: ignore[arg-type]
    found = "" if value is True else f", found {value!r}"
    with pytest.raises(OptionError, match=f"{scheme} does not take {name}{found}\n.*leave {name} out"):
        schemes.find(scheme).run(exported(), plan, calibration())


@pytest.mark.parametrize(
    ("scheme", "name"), [(scheme, name) for scheme, options in REFUSED.items() for name in options]
)
def test_a_plan_is_refused_before_its_scheme_runs(scheme: str, name: str) -> None:
    plan = Plan(**{"scheme": scheme, name: REFUSED[scheme][name]})  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=f"{scheme} does not take {name}"):
        check_plan(plan)


def test_a_plan_excludes_nothing_where_the_engine_rounds() -> None:
    for scheme in schemes.names():
        plan = Plan(scheme=scheme, exclude=("classifier",))
        if schemes.find(scheme).by_engine:
            with pytest.raises(
                OptionError, match=f"{scheme} does not take exclude, found \\('classifier',\\)"
            ):
                check_plan(plan)
        else:
            check_plan(plan)
    check_plan(Plan(exclude=("classifier",)))


@pytest.mark.parametrize(
    ("scheme", "opset"),
    [("int8_static", 13), ("int8_dynamic", 13), ("int8_static_fp16", 19), ("fp8_static_fp16", 19)],
)
def test_a_graph_of_an_older_opset_than_the_scheme_writes_is_refused(scheme: str, opset: int) -> None:
    graph = exported()
    graph.opset_imports[""] = opset - 1
    with pytest.raises(
        UsageError, match=f"operators of ONNX's opset {opset}, and the graph has opset {opset - 1}"
    ):
        schemes.find(scheme).run(graph, Plan(scheme=scheme), calibration())
