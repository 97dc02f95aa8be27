"""Plans: the committed ones for every head, files of one's own, and what no plan can be."""

import json
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from model_src import heads
from pipeline.errors import UsageError
from pipeline.passes import registry
from pipeline.precision import schemes
from pipeline.recipe import plan as plans
from pipeline.recipe.plan import PRESETS, Plan, from_table, preset, to_toml
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.targets import targets

CPU = "onnxruntime-cpu"
HEAD = "sequence_classification"
OWN = """
[int8]
passes = ["attention_scale"]
scheme = "int8_static"
smoothing = 1
exclude = ["classifier", "a \\"quoted\\" one"]
session = { "session.intra_op.allow_spinning" = 0, disabled_optimizers = "GeluFusionL1,GeluFusionL2" }

[int8.heads.sequence_classification]
passes = ["first_token"]
weight_bits = 7
"""

VARIANTS = [
    (path.stem, precision)
    for path in sorted(PRESETS.glob("*.toml"))
    for precision in targets.find(path.stem).precisions
]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "tuned.toml"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize(("target", "precision"), VARIANTS)
def test_the_committed_plans_load_for_every_head_and_name_what_there_is(
    target: str, precision: str, head: str
) -> None:
    plan = preset(target, precision, head)
    for name in (*plan.passes, *plan.final_passes):
        registry.find(name)
    assert plan.scheme == "" if precision == "fp32" else schemes.find(plan.scheme)
    assert ("first_token" in plan.passes) <= (head in ("sequence_classification", "multiple_choice"))


def test_there_is_a_committed_plan_for_every_precision_of_every_target() -> None:
    for name in targets.names():
        for precision in targets.find(name).precisions:
            preset(name, precision, HEAD)


def test_weights_of_8_bits_need_exact_products_and_those_of_7_bits_do_not() -> None:
    eight_bits = preset(CPU, "int8", HEAD)
    assert (eight_bits.weight_bits, eight_bits.needs) == (8, ("exact-int8-pairs",))
    assert eight_bits.exact_pairs
    assert eight_bits.session == {}
    assert (preset(CPU, "int8_7bit", HEAD).weight_bits, preset(CPU, "int8_7bit", HEAD).needs) == (7, ())


def test_pairs_are_bounded_in_8_bits_only() -> None:
    with pytest.raises(UsageError, match="exact_pairs bounds weights of 8 bits, found weight_bits 7"):
        Plan(exact_pairs=True, weight_bits=7)


def test_a_file_of_ones_own_is_fitted_to_the_head(own: Path) -> None:
    plan = preset(CPU, "int8", "features", own)
    assert plan == Plan(
        passes=("attention_scale",),
        scheme="int8_static",
        smoothing=1.0,
        exclude=("classifier", 'a "quoted" one'),
        session={
            "session.intra_op.allow_spinning": "0",
            "disabled_optimizers": "GeluFusionL1,GeluFusionL2",
        },
    )
    assert preset(CPU, "int8", HEAD, own) == replace(plan, passes=("first_token",), weight_bits=7)


def test_what_is_written_reads_the_same(own: Path) -> None:
    for plan in (preset(CPU, "int8", HEAD, own), preset(CPU, "int8", HEAD), Plan()):
        assert from_table(tomllib.loads(to_toml(plan, "int8"))["int8"], HEAD, "here") == plan
        assert from_table(json.loads(json.dumps(plan.to_json())), HEAD, "here") == plan
    assert set(Plan().to_json()) == {entry.name for entry in fields(Plan)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[int8", "not a readable TOML file"),
        (
            "[fp16]\nscheme = 'fp16'",
            "there is no plan for onnxruntime-cpu:int8 in .*\n  hint: the file has plans for fp16",
        ),
        ("int8 = 3", "int8 must be a table, found 3"),
        ("[int8]\npass = []", "int8 has the unknown field 'pass'.*did you mean 'passes'"),
        ("[int8]\npasses = 'packed_qkv'", "passes must be a list of texts, found 'packed_qkv'"),
        ("[int8]\npasses = [1]", r"passes\[0\] must be text, found 1"),
        ("[int8]\nsmoothing = true", "smoothing must be a number, found True"),
        ("[int8]\ncalibration = 'mimax'", "int8: unknown calibration 'mimax'; known: minmax,"),
        ("[int8]\nsmoothing = 1.5", "int8: smoothing must lie between 0 and 1, found 1.5"),
        ("[int8]\nweight_bits = 7.0", "weight_bits must be a whole number, found 7.0"),
        ("[int8]\nweight_bits = 6", "int8: weight_bits must be 7 or 8, found 6"),
        ("[int8]\nquantize_attention = 1", "quantize_attention must be true or false, found 1"),
        ("[int8]\nsession = { a = true }", "session.a must be text or a whole number, found True"),
        (
            "[int8]\nsession = { 'session.collect_node_memory_stats_to_file' = '/home/a/.bashrc' }",
            "int8: session.*has the session setting 'session.collect_node_memory_stats_to_file', which .*not allow",
        ),
        ("[int8]\nsession = { 'session.dynamic_block_base' = 5000 }", "'5000'; it must be .* from 0 to 1024"),
        # A setting of other engines
        ("[int8]\nsession = { contexts = 2 }", "has the session setting 'contexts', which .*not allow"),
        (f"[int8]\nsession = {{ contexts = {'1' * 5000} }}", "not a readable TOML file"),
        ("[int8]\nsession = 'a'", "session must be a table, found 'a'"),
        ("[int8]\nscheme = 'int8_static'\nheads = 3", "heads must be a table, found 3"),
        (
            "[int8]\nscheme = 'int8_static'\n[int8.heads.sequence_clasification]",
            "'sequence_clasification'.*did you mean 'sequence_classification'",
        ),
        ("[int8]\n[int8.heads.sequence_classification]\nweight_bits = 9", "weight_bits must be 7 or 8"),
        # fp32 under another name
        ("[int8]\npasses = []", "int8 has the scheme ''\n  hint: fp32 has none"),
    ],
)
def test_what_no_plan_can_be(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "given.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"(?s){message}") as caught:
        preset(CPU, "int8", HEAD, path)
    assert str(path) in str(caught.value)


def test_fp32_takes_no_scheme(tmp_path: Path) -> None:
    path = tmp_path / "given.toml"
    path.write_text("[fp32]\nscheme = 'int8_static'")
    with pytest.raises(UsageError, match="fp32 has the scheme 'int8_static'"):
        preset(CPU, "fp32", HEAD, path)


def test_an_absent_file_and_an_absent_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no file of plans nowhere.toml\n  hint: .*distilforge tune"):
        preset(CPU, "int8", HEAD, Path("nowhere.toml"))
    with pytest.raises(
        UsageError, match=r"unknown target 'onnxruntime-cpi'\D*did you mean 'onnxruntime-cpu'"
    ):
        preset("onnxruntime-cpi", "fp32", HEAD)
    monkeypatch.setattr(plans, "PRESETS", tmp_path)
    assert preset(CPU, "fp32", HEAD) == Plan()
    with pytest.raises(UsageError, match="there is no plan for onnxruntime-cpu:int8"):
        preset(CPU, "int8", HEAD)


def test_excluding_adds_each_module_once_and_leaves_fp32_alone() -> None:
    plan = Plan(scheme="int8_static", exclude=("a",))
    assert plan.excluding(["b", "a", "b"]).exclude == ("a", "b")
    assert Plan().excluding(["a"]) == Plan()


def test_a_recipe_has_the_plans_file_and_the_excluded_modules(own: Path) -> None:
    int8 = VariantName(target=CPU, precision="int8")
    recipe = Recipe(name="a", checkpoint="b", plans=own, exclude=("pre_classifier",))
    assert recipe.plan(int8, HEAD).exclude == (
        "classifier",
        'a "quoted" one',
        "pre_classifier",
    )
    digest = recipe.digest
    assert replace(recipe, exclude=()).digest != digest
    own.write_text(OWN.replace("classifier", "qa_outputs"))
    assert recipe.digest != digest
    own.unlink()
    with pytest.raises(UsageError, match="no file of plans"):
        replace(recipe, name="c")
