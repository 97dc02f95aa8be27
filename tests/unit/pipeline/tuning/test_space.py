"""What there is to choose from: presets are in it, a new pass joins by being registered, misfits are not offered."""

import pytest

from pipeline.errors import UsageError
from pipeline.passes import fusions
from pipeline.passes.base import Applied, Pass
from pipeline.recipe.plan import Plan, preset
from pipeline.targets import targets
from pipeline.tuning.space import Space, canonical, key, space
from pipeline.tuning.words import differences

TARGET = targets.find("onnxruntime-cpu")
MODULES = (
    "embeddings.word_embeddings",
    "embeddings.position_embeddings",
    *(
        f"transformer.layer.{layer}.{kind}"
        for layer in range(2)
        for kind in ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1")
    ),
    "classifier",
)
HEADS = ("sequence_classification", "masked_lm", "features")


def of(precision: str, base: Plan) -> Space:
    return space(TARGET, precision, base, MODULES)


def promises(plan: Plan) -> Plan:
    return Plan(weight_bits=plan.weight_bits, needs=plan.needs)


@pytest.mark.parametrize("precision", TARGET.precisions)
@pytest.mark.parametrize("head", HEADS)
def test_presets_are_in_the_space(precision: str, head: str) -> None:
    default = preset(TARGET.name, precision, head)
    found = of(precision, promises(default))
    params = found.params(default)
    assert found.plan(lambda name, options: params[name]) == canonical(default)


def test_neighbours_make_one_choice_otherwise() -> None:
    default = preset(TARGET.name, "int8", "sequence_classification")
    found = of("int8", promises(default))
    params = found.params(default)
    plans = [
        found.plan(lambda name, options, near=near: near.get(name, options[0]))  # type: ignore[misc]
        for near in found.neighbours(params)
    ]
    assert key(default) not in map(key, plans)
    said = [differences(plan, canonical(default)) for plan in plans]
    assert "fusions -first_token" in said
    assert "session session.intra_op.allow_spinning=0" in said
    assert any("+attention_mha_flash" in each and "quantize_attention none" in each for each in said)
    assert all(plan.needs == ("exact-int8",) and plan.scheme.startswith("int8") for plan in plans)


def test_what_does_not_arise_is_not_asked() -> None:
    asked: list[str] = []

    def pick(name: str, options: tuple[str, ...]) -> str:
        asked.append(name)
        return "int8_dynamic" if name == "scheme" else options[0]

    assert of("int8", Plan()).plan(pick).scheme == "int8_dynamic"
    assert "calibration" not in asked
    assert "smoothing" in asked
    fp32 = {choice.name for choice in of("fp32", Plan()).choices}
    assert not fp32 & {"scheme", "exclude", "integer_matmul"}


def test_a_new_pass_joins() -> None:
    def run(graph: object) -> Applied:
        return Applied(rewrites=0)

    fusions.names()
    fusions.add(Pass(name="of_ours", summary="", run=run))
    fusions.add(Pass(name="of_others", summary="", run=run, emits=frozenset({"com.somebody"})))
    try:
        names = {choice.name for choice in of("fp32", Plan()).choices}
    finally:
        del fusions._entries["of_ours"], fusions._entries["of_others"]
    assert "of_ours" in names
    assert "of_others" not in names


def test_a_packed_projection_is_excluded_whole() -> None:
    choice = next(each for each in of("int8", Plan()).choices if each.name == "exclude")
    assert choice.options["queries, keys and values"].exclude == tuple(
        f"transformer.layer.{layer}.attention.{kind}_lin" for layer in range(2) for kind in "qkv"
    )
    assert set(choice.options) == {
        "none", "queries, keys and values", "attention.out_lin", "ffn.lin1", "layer 0", "layer 1", "classifier",
    }  # fmt: skip


def test_what_is_always_excluded_stays() -> None:
    found = of("int8", Plan(exclude=("classifier",)))
    assert found.plan(lambda name, options: options[0]).exclude == ("classifier",)


def test_an_unknown_target() -> None:
    from dataclasses import replace

    with pytest.raises(UsageError, match="nothing is known to tune for abacus"):
        space(replace(TARGET, name="abacus"), "fp32", Plan(), ())


def test_order_of_names_makes_no_other_plan() -> None:
    one, other = (
        Plan(fusions=("a", "b"), exclude=("x", "y")),
        Plan(fusions=("b", "a"), exclude=("y", "x", "x")),
    )
    assert key(one) == key(other) != key(Plan(fusions=("a",)))


def test_what_replaces_a_default_that_is_not_empty() -> None:
    chosen = {"scheme": "int8_static", "smoothing": "half", "smoothed": "second"}
    plan = of("int8", Plan()).plan(lambda name, options: chosen.get(name, options[0]))
    assert (plan.smoothing, plan.smoothed) == (0.5, ("*.ffn.lin2",))
    without = of("int8", Plan()).plan(
        lambda name, options: {**chosen, "smoothing": "none"}.get(name, options[0])
    )
    assert without.smoothed == ("*",)
