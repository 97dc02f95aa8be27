"""Which modules are quantized, by patterns of names."""

import pytest

from pipeline.errors import UsageError
from pipeline.precision.layers import choose
from pipeline.precision.layers.packed import packed_with, parts
from tests.graphs import exported

FIRST = "distilbert.transformer.layer.0"
MODULES = (
    "distilbert.embeddings.word_embeddings",
    f"{FIRST}.attention.qkv_lin",
    f"{FIRST}.attention.out_lin",
    f"{FIRST}.ffn.lin1",
    "classifier",
)


@pytest.mark.parametrize(
    ("pattern", "modules"),
    [
        ("classifier", {"classifier"}),
        ("embeddings.*", {MODULES[0]}),
        ("*.out_lin", {MODULES[2]}),
        ("*.q_lin", {MODULES[1]}),
        (f"{FIRST}.attention.v_lin", {MODULES[1]}),
        ("transformer.layer.0.*", set(MODULES[1:4])),
        ("*", set(MODULES)),
    ],
)
def test_a_pattern_names_modules(pattern: str, modules: set[str]) -> None:
    assert choose.named([pattern], MODULES) == modules


def test_several_patterns_name_all_of_theirs() -> None:
    assert choose.named(["classifier", "*.lin1"], MODULES) == {"classifier", f"{FIRST}.ffn.lin1"}
    assert choose.named([], MODULES) == frozenset()


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("clasifier", "did you mean 'classifier'"),
        ("*.ffn.lin", r"did you mean '\*.ffn.lin1'"),
        ("zzz", r"\* stands for anything"),
        ("transformer.layer.0.attention", r"its modules are 'transformer.layer.0.attention.\*'"),
    ],
)
def test_a_pattern_that_names_nothing_is_an_error_with_a_hint(pattern: str, hint: str) -> None:
    with pytest.raises(UsageError, match=rf"(?s)unknown module .*known: .*layer\.\*\.ffn\.lin1.*{hint}"):
        choose.named([pattern], MODULES)


def test_an_exclude_of_everything_is_an_error_for_a_user() -> None:
    choose.check_exclude(["classifier"], MODULES)
    with pytest.raises(UsageError, match=r"excluding classifier, \* leaves nothing to quantize"):
        choose.check_exclude(["classifier", "*"], MODULES)


def test_excluded_modules_are_left_out_of_both_kinds() -> None:
    graph = exported()
    everything = choose.choose(graph, ())
    selection = choose.choose(graph, ("classifier", "*.word_embeddings", "core"), ["core"])
    assert selection.excluded == {"classifier", "distilbert.embeddings.word_embeddings", "core"}
    assert {linear.module for linear in everything.linears} - {
        linear.module for linear in selection.linears
    } == {"classifier"}
    assert [table.module for table in selection.tables] == ["distilbert.embeddings.position_embeddings"]


def test_activations_are_listed_once() -> None:
    selection = choose.choose(exported(), ())
    # Four in each of two layers, for six linear layers, and two of the classifier
    assert len(selection.activations) == len(set(selection.activations)) == 4 * 2 + 2


def test_packed_projections_and_their_parts() -> None:
    names = tuple(f"{FIRST}.attention.{part}_lin" for part in "qkv")
    assert parts(f"{FIRST}.attention.qkv_lin") == names
    assert packed_with(names[1]) == names
    assert parts("classifier") == packed_with("classifier") == packed_with(f"{FIRST}.ffn.lin1") == ()
