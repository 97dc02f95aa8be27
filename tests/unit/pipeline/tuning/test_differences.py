"""The differences between two plans, in words."""

import pytest

from pipeline.recipe.plan import Plan
from pipeline.tuning.differences import differences

BASE = Plan(passes=("a", "b"), scheme="int8_static", session={"x": "1", "y": "2"})


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (BASE, "the same"),
        (Plan(passes=("b", "a"), scheme="int8_static", session={"y": "2", "x": "1"}), "the same"),
        (Plan(passes=("b", "c"), scheme="int8_static", session=BASE.session), "passes +c -a"),
        (Plan(passes=("a", "b"), session=BASE.session), "scheme none"),
        (
            Plan(passes=("a", "b"), scheme="int8_static", session={"x": "3", "z": "4"}),
            "session x=3 z=4 -y",
        ),
        (
            Plan(passes=("a",), scheme="int8_dynamic", smoothing=0.5, session=BASE.session),
            "passes -b; scheme int8_dynamic; smoothing 0.5",
        ),
    ],
)
def test_each_field_has_a_clause(plan: Plan, text: str) -> None:
    assert differences(plan, BASE) == text


def test_a_flag_that_is_off_is_named() -> None:
    on = Plan(scheme="int8_static", quantize_attention=True)
    assert differences(Plan(scheme="int8_static"), on) == "quantize_attention none"
