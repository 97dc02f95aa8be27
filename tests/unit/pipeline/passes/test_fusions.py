"""Every fusion on every head: the same answers, the count, applied twice, and what it must do to a broken graph."""

import pytest

from model_src import heads
from pipeline.errors import ContractError
from pipeline.graph.file import check, domains
from pipeline.passes import fusions
from pipeline.passes.matching.rewriting import MICROSOFT
from tests.unit.pipeline.passes.graphs import LAYERS, assert_same, exported, operators, ragged, refused, run

# Rewrites in a model of two layers; a head's own GELU or layer norm comes on top
COUNTS = {
    "packed_qkv": LAYERS,
    "attention_mha": LAYERS,
    "attention_mha_flash": LAYERS,
    "attention_onnx": LAYERS,
    "skip_layer_norm": 2 * LAYERS,
    "bias_gelu": LAYERS,
    "embeddings": 1,
    "flatten_tokens": 2 * LAYERS + 1,
    "attention_scale": LAYERS,
    "mask_where_needed": LAYERS,
    "transposes": 0,
    "constants": 0,
}
MASKED_LM = {"bias_gelu": LAYERS + 1, "flatten_tokens": 2 * LAYERS + 2, "transposes": 1}
TOGETHER = {
    "mha": "packed_qkv attention_mha skip_layer_norm bias_gelu embeddings transposes constants",
    "flash": "packed_qkv attention_mha_flash transposes constants flatten_tokens",
    "onnx": "packed_qkv attention_onnx constants flatten_tokens",
}


def shapes(head: str) -> list[tuple[int, ...]]:
    return [(2, 3, 7), (1, 2, 1)] if head == "multiple_choice" else [(3, 7), (2, 1), (2, 32)]


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize("name", COUNTS)
def test_same_answers_and_the_count(name: str, head: str) -> None:
    before, after = exported(head), exported(head)
    counts = COUNTS | (MASKED_LM if head == "masked_lm" else {})
    assert run(after, name) == [counts[name]]
    for shape in shapes(head):
        assert_same(before, after, ragged(shape))


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize("names", TOGETHER.values(), ids=TOGETHER)
def test_same_answers_of_several_together(names: str, head: str) -> None:
    before, after = exported(head), exported(head)
    run(after, *names.split())
    for shape in shapes(head):
        assert_same(before, after, ragged(shape))


@pytest.mark.parametrize("name", COUNTS)
def test_applying_it_again_changes_nothing(name: str) -> None:
    made = exported("masked_lm")
    run(made, name)
    once = operators(made)
    names = [each.name for each in made.graph]
    assert refused(made, name).rewrites == 0
    assert operators(made) == once
    assert [each.name for each in made.graph] == names


@pytest.mark.parametrize("name", COUNTS)
def test_emits_only_the_domains_that_it_declares(name: str) -> None:
    made = exported("masked_lm")
    run(made, name)
    assert domains(made) - {""} == fusions.find(name).emits
    assert fusions.find(name).emits <= {MICROSOFT}


@pytest.mark.parametrize("name", COUNTS)
def test_names_are_unique_and_lead_to_their_module(name: str) -> None:
    made = exported("masked_lm")
    run(made, name)
    names = [each.name for each in made.graph]
    assert len(set(names)) == len(names)
    assert all("/" in each for each in names)
    assert all(value.uses() for value in made.graph.initializers.values())


RENAMED = {
    "packed_qkv": "MatMul",
    "attention_mha": "Softmax",
    "attention_mha_flash": "Softmax",
    "attention_onnx": "Softmax",
    "skip_layer_norm": "LayerNormalization",
    "bias_gelu": "Gelu",
    "embeddings": "Gather",
    "flatten_tokens": "LayerNormalization",
    "attention_scale": "Div",
    "mask_where_needed": "Softmax",
}


@pytest.mark.parametrize(("name", "operator"), RENAMED.items())
def test_a_renamed_operator_stops_it_by_name(name: str, operator: str) -> None:
    made = exported()
    for each in list(made.graph):
        if each.op_type == operator:
            each.op_type, each.domain = f"{operator}V2", "elsewhere"
    made.graph.opset_imports["elsewhere"] = 1
    with pytest.raises(ContractError, match=rf"{name} matched 0 times"):
        run(made, name)


def test_the_reason_names_the_node_that_differs() -> None:
    made = exported()
    for each in made.graph:
        if each.op_type == "Softmax":
            each.op_type, each.domain = "SoftmaxV2", "elsewhere"
    made.graph.opset_imports["elsewhere"] = 1
    with pytest.raises(
        ContractError, match=r"layer\.0\.attention/Softmax: .*expected Softmax, got SoftmaxV2"
    ):
        run(made, "attention_mha")
    check(made)
