"""The space of plans: presets are in it, a new pass joins when it is registered, and no illegal plan is proposed."""

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.errors import UsageError
from pipeline.passes import registry
from pipeline.passes.base import Pass, PassResult
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan, from_table, preset
from pipeline.targets import targets
from pipeline.tuning.differences import differences
from pipeline.tuning.space import Params, Space, canonical, merge, plan_key, space

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


def made_of(of_space: Space, params: Params) -> Plan:
    """The plan of `params`, with the first option of every parameter that is not in there."""
    return of_space.plan(lambda name, options: params.get(name, options[0]))


def promises(plan: Plan) -> Plan:
    return Plan(
        weight_bits=plan.weight_bits, exact_pairs=plan.exact_pairs, needs=plan.needs, session=plan.session
    )


@pytest.mark.parametrize("precision", TARGET.precisions)
@pytest.mark.parametrize("head", HEADS)
def test_presets_are_in_the_space(precision: str, head: str) -> None:
    default = preset(TARGET.name, precision, head)
    whole = of(precision, promises(default))
    params = whole.params(default)
    assert made_of(whole, params) == canonical(default)


def test_neighbours_change_one_decision() -> None:
    default = preset(TARGET.name, "int8", "sequence_classification")
    whole = of("int8", promises(default))
    params = whole.params(default)
    plans = [made_of(whole, neighbour) for neighbour in whole.neighbours(params)]
    assert plan_key(default) not in map(plan_key, plans)
    texts = [differences(plan, canonical(default)) for plan in plans]
    assert "passes -first_token" in texts
    assert "session session.intra_op.allow_spinning=0" in texts
    assert any("+attention_mha_flash" in text and "quantize_attention none" in text for text in texts)
    assert all(
        plan.exact_pairs and plan.needs == ("exact-int8-pairs",) and plan.scheme.startswith("int8")
        for plan in plans
    )


def test_a_parameter_that_does_not_apply_is_not_asked() -> None:
    asked_names: list[str] = []

    def pick(name: str, options: tuple[str, ...]) -> str:
        asked_names.append(name)
        return "int8_dynamic" if name == "scheme" else options[0]

    assert of("int8", Plan()).plan(pick).scheme == "int8_dynamic"
    assert "calibration" not in asked_names
    assert "smoothing" in asked_names
    fp32 = {parameter.name for parameter in of("fp32", Plan()).parameters}
    assert not fp32 & {"scheme", "exclude", "integer_matmul"}


def test_a_new_pass_joins() -> None:
    def run(graph: object) -> PassResult:
        return PassResult(rewrites=0)

    registry.names()
    registry.add(Pass(name="accepted_pass", summary="", run=run))
    registry.add(Pass(name="other_domain_pass", summary="", run=run, emits=frozenset({"com.somebody"})))
    try:
        names = {parameter.name for parameter in of("fp32", Plan()).parameters}
    finally:
        del registry._entries["accepted_pass"], registry._entries["other_domain_pass"]
    assert "accepted_pass" in names
    assert "other_domain_pass" not in names


def test_a_packed_projection_is_excluded_whole() -> None:
    parameter = next(one for one in of("int8", Plan()).parameters if one.name == "exclude")
    assert parameter.options["queries, keys and values"].exclude == tuple(
        f"transformer.layer.{layer}.attention.{kind}_lin" for layer in range(2) for kind in "qkv"
    )
    assert set(parameter.options) == {
        "none", "queries, keys and values", "attention.out_lin", "ffn.lin1", "layer 0", "layer 1", "classifier",
    }  # fmt: skip


def test_what_the_recipe_excludes_is_in_every_plan() -> None:
    whole = of("int8", Plan(exclude=("classifier",)))
    assert whole.plan(lambda name, options: options[0]).exclude == ("classifier",)


def test_an_unknown_target() -> None:
    with pytest.raises(UsageError, match="abacus has nothing to tune"):
        space(replace(TARGET, name="abacus"), "fp32", Plan(), ())


def test_order_of_names_makes_no_other_plan() -> None:
    one, other = (
        Plan(passes=("a", "b"), exclude=("x", "y")),
        Plan(passes=("b", "a"), exclude=("y", "x", "x")),
    )
    assert plan_key(one) == plan_key(other) != plan_key(Plan(passes=("a",)))


def test_an_option_replaces_a_default_that_is_not_empty() -> None:
    chosen = {"scheme": "int8_static", "smoothing": "half", "smoothed": "second"}
    plan = of("int8", Plan()).plan(lambda name, options: chosen.get(name, options[0]))
    assert (plan.smoothing, plan.smoothed) == (0.5, ("*.ffn.lin2",))
    without = of("int8", Plan()).plan(
        lambda name, options: {**chosen, "smoothing": "none"}.get(name, options[0])
    )
    assert without.smoothed == ("*",)


# A plan has at most one of the passes that write attention
ATTENTION = ("attention_scale", "attention_mha", "attention_mha_flash", "attention_onnx")


def check_legal(plan: Plan, precision: str, base: Plan) -> None:
    """That a build can be asked for `plan`, and that it keeps what the variant promises."""
    assert from_table(plan.to_json(), "", "plan") == plan == canonical(plan)
    assert (plan.weight_bits, plan.needs) == (base.weight_bits, base.needs)
    assert base.session.items() <= plan.session.items()
    assert set(base.exclude) <= set(plan.exclude) <= {*base.exclude, *MODULES}
    for name in (*plan.passes, *plan.final_passes):
        assert registry.find(name).emits <= TARGET.domains, name
    assert not set(plan.passes) & set(plan.final_passes)
    assert sum(name in ATTENTION for name in plan.passes) <= 1
    if precision == "fp32":
        assert (plan.scheme, plan.exclude, plan.smoothing) == ("", (), 0)
        assert "integer_matmul" not in plan.final_passes
        return
    assert plan.scheme in schemes.names()
    assert plan.scheme.startswith(precision.partition("_")[0])
    if plan.scheme != "int8_static":
        assert (plan.calibration, plan.quantize_attention) == ("minmax", False)
    if plan.quantize_attention:
        assert "attention_scale" in plan.passes
    if plan.smoothing == 0:
        assert plan.smoothed == ("*",)
    packed = {f"transformer.layer.0.attention.{kind}_lin" for kind in "qkv"}
    assert len(packed & set(plan.exclude)) in (0, 3)


def random_params(of_space: Space, seed: int) -> Params:
    """The options of a random plan: only those that were asked for."""
    params: dict[str, str] = {}
    generator = random.Random(seed)

    def pick(name: str, options: tuple[str, ...]) -> str:
        params[name] = generator.choice(options)
        return params[name]

    of_space.plan(pick)
    return params


@pytest.mark.parametrize("precision", TARGET.precisions)
def test_no_illegal_plan_is_proposed(precision: str) -> None:
    base = promises(preset(TARGET.name, precision, HEADS[0]))
    whole = of(precision, base)
    for seed in range(100):
        check_legal(made_of(whole, random_params(whole, seed)), precision, base)


@pytest.mark.parametrize("precision", TARGET.precisions)
def test_no_neighbour_is_illegal_and_each_differs_in_one_decision(precision: str) -> None:
    base = promises(preset(TARGET.name, precision, HEADS[0]))
    whole = of(precision, base)
    for seed in range(4):
        params = random_params(whole, seed)
        neighbours = whole.neighbours(params)
        options = {parameter.name: len(parameter.options) for parameter in whole.parameters}
        assert len(neighbours) == sum(options[name] - 1 for name in params)
        for neighbour in neighbours:
            assert len(changed(params, neighbour)) == 1
            check_legal(made_of(whole, neighbour), precision, base)


def changed(params: Params, others: Params) -> Mapping[str, str]:
    return {name: option for name, option in others.items() if params.get(name) != option}


@pytest.mark.parametrize("precision", TARGET.precisions)
def test_the_nearest_options_of_a_proposed_plan_make_that_plan(precision: str) -> None:
    """A search describes the default and the committed plans by their options, and must not lose any of them."""
    whole = of(precision, promises(preset(TARGET.name, precision, HEADS[0])))
    for seed in range(30):
        params = random_params(whole, seed)
        # The modules of one group are also those of others, so they have several descriptions
        params = {**params, "exclude": "none"} if "exclude" in params else params
        plan = made_of(whole, params)
        assert made_of(whole, whole.params(plan)) == plan


def test_what_is_not_in_the_space_is_left_out_of_the_nearest_options() -> None:
    whole = of("fp32", Plan())
    strange = Plan(passes=("no_such_pass", "bias_gelu"), session={"session.strange": "1"})
    assert made_of(whole, whole.params(strange)).passes == ("bias_gelu",)


def test_merging_with_nothing_changes_nothing() -> None:
    whole = of("int8", Plan())
    for seed in range(20):
        plan = made_of(whole, random_params(whole, seed))
        assert merge(plan, Plan()) == merge(Plan(), plan) == merge(plan, plan) == plan


def test_settings_join_and_the_last_one_holds() -> None:
    plan = Plan(session={"contexts": "1", "cuda_graphs": "1"})
    later = Plan(session={"cuda_graphs": "2", "runtime_cache": "on"})
    assert merge(plan, later).session == {"contexts": "1", "cuda_graphs": "2", "runtime_cache": "on"}


def test_every_key_is_a_digest_of_what_the_plan_does() -> None:
    plans = [
        Plan(),
        Plan(scheme="int8_static"),
        Plan(smoothing=0.5),
        Plan(session={"contexts": "1"}),
        Plan(needs=("x",)),
    ]
    keys = {plan_key(plan) for plan in plans}
    assert len(keys) == len(plans)
    assert all(len(key) == 12 for key in keys)
