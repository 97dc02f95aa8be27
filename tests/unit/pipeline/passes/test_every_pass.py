"""Every pass: the same answers, the count, applied twice, names, domains, and what it must do to a broken graph."""

import pytest

from model_src import heads
from pipeline.errors import ContractError
from pipeline.graph.file import check, domains
from pipeline.passes import registry
from pipeline.passes.matching.rewriting import MICROSOFT
from tests.graphs import LAYERS, exported, operators, ragged, renamed
from tests.unit.pipeline.passes.checks import (
    apply_freely,
    assert_names_are_unique_and_paths,
    assert_same,
    run,
    shapes,
)

# Rewrites in a model of two layers; a head's own GELU or layer norm comes on top
COUNTS = {
    "packed_qkv": LAYERS,
    "attention_mha": LAYERS,
    "attention_mha_flash": LAYERS,
    "attention_onnx": LAYERS,
    "skip_layer_norm": 2 * LAYERS,
    "bias_gelu": LAYERS,
    "embeddings": 1,
    "embedding_sum": 1,
    "flatten_tokens": 2 * LAYERS + 1,
    "attention_scale": LAYERS,
    "mask_where_needed": LAYERS,
    "whole_vectors": LAYERS,
    "transposes": 0,
    "dequantize_first": 0,
    "quantize_first": 0,
    "split_layer_norm": 0,
    "constants": 0,
}
MASKED_LM = {"bias_gelu": LAYERS + 1, "flatten_tokens": 2 * LAYERS + 2, "transposes": 1}

# One reads the first token, one has an axis more, one has a GELU, a layer norm and a tied weight of its own, and one
# gives out the last layer norm. The other two heads differ from these in the layer that flatten_tokens reaches alone.
DIFFERENT_HEADS = ("sequence_classification", "multiple_choice", "masked_lm", "features")
# What these rewrite is the same in every head; only the axes of multiple_choice are not.
IN_EVERY_LAYER = {
    "packed_qkv",
    "attention_mha",
    "attention_mha_flash",
    "attention_onnx",
    "attention_scale",
    "mask_where_needed",
    "whole_vectors",
}
CASES = [
    (name, head)
    for name in COUNTS
    for head in (
        heads.names()
        if name == "flatten_tokens"
        else DIFFERENT_HEADS[:2]
        if name in IN_EVERY_LAYER
        else DIFFERENT_HEADS
    )
]
TOGETHER = {
    "mha": "packed_qkv attention_mha skip_layer_norm bias_gelu embeddings transposes constants",
    "packed": "packed_qkv attention_mha attention_packed embedding_sum skip_layer_norm bias_gelu",
    "flash": "packed_qkv attention_mha_flash transposes constants flatten_tokens",
    "onnx": "packed_qkv attention_onnx constants flatten_tokens",
}


@pytest.mark.parametrize(("name", "head"), CASES)
def test_same_answers_and_the_count(name: str, head: str) -> None:
    before, after = exported(head), exported(head)
    counts = COUNTS | (MASKED_LM if head == "masked_lm" else {})
    assert run(after, name) == [counts[name]]
    assert_same(before, after, *map(ragged, shapes(head)))


@pytest.mark.parametrize("head", DIFFERENT_HEADS)
@pytest.mark.parametrize("names", TOGETHER.values(), ids=TOGETHER)
def test_same_answers_of_several_together(names: str, head: str) -> None:
    before, after = exported(head), exported(head)
    run(after, *names.split())
    assert_same(before, after, *map(ragged, shapes(head)))


@pytest.mark.parametrize("head", ["sequence_classification", "multiple_choice"])
def test_packed_qkv_packs_keys_and_values_where_queries_read_the_first_token(head: str) -> None:
    before, after = exported(head), exported(head)
    assert run(after, "first_token", "packed_qkv", "attention_mha") == [1, LAYERS, LAYERS]
    products = [str(node.name).rpartition(".")[2] for node in after.graph if node.op_type == "MatMul"]
    assert products.count("qkv_lin/MatMul") == LAYERS - 1
    assert (products.count("kv_lin/MatMul"), products.count("q_lin/MatMul")) == (1, 1)
    assert_same(before, after, *map(ragged, shapes(head)))


@pytest.mark.parametrize("head", DIFFERENT_HEADS)
def test_attention_packed_takes_the_projections_in(head: str) -> None:
    before, after = exported(head), exported(head)
    assert run(after, "packed_qkv", "attention_mha", "attention_packed") == [LAYERS, LAYERS, LAYERS]
    counts = operators(after)
    assert (counts["Attention"], counts["MultiHeadAttention"], counts["Split"]) == (LAYERS, 0, 0)
    assert_same(before, after, *map(ragged, shapes(head)))
    assert run(after, "attention_packed") == [0]


def test_attention_packed_leaves_the_layer_that_has_one_query() -> None:
    before, after = exported(), exported()
    names = ("first_token", "packed_qkv", "attention_mha", "attention_packed")
    assert run(after, *names) == [1, LAYERS, LAYERS, LAYERS - 1]
    assert_same(before, after, *map(ragged, shapes("sequence_classification")))


@pytest.mark.parametrize("name", COUNTS)
def test_what_every_pass_must_keep(name: str) -> None:
    """Declared domains, unique names that lead to a module, no unused weights, and nothing left to do the next time."""
    graph = exported("masked_lm")
    run(graph, name)
    assert domains(graph) - {""} == registry.find(name).emits
    assert registry.find(name).emits <= {MICROSOFT}
    assert_names_are_unique_and_paths(graph)
    assert all(value.uses() for value in graph.graph.initializers.values())
    once, names = operators(graph), [node.name for node in graph.graph]
    assert apply_freely(graph, name).rewrites == 0
    assert operators(graph) == once
    assert [node.name for node in graph.graph] == names


RENAMED = {
    "packed_qkv": "MatMul",
    "attention_mha": "Softmax",
    "attention_mha_flash": "Softmax",
    "attention_onnx": "Softmax",
    "skip_layer_norm": "LayerNormalization",
    "bias_gelu": "Gelu",
    "embeddings": "Gather",
    "embedding_sum": "LayerNormalization",
    "flatten_tokens": "LayerNormalization",
    "attention_scale": "Div",
    "mask_where_needed": "Softmax",
    "whole_vectors": "Softmax",
}


@pytest.mark.parametrize(("name", "operator"), RENAMED.items())
def test_a_renamed_operator_stops_it_by_name(name: str, operator: str) -> None:
    with pytest.raises(ContractError, match=rf"{name} matched 0 times"):
        run(renamed(exported(), operator), name)


def test_the_reason_names_the_node_that_differs() -> None:
    graph = renamed(exported(), "Softmax")
    with pytest.raises(
        ContractError, match=r"layer\.0\.attention/Softmax: .*expected Softmax, got SoftmaxV2"
    ):
        run(graph, "attention_mha")
    check(graph)
