"""Dropped padding: the same answers to the bit for every mask and head, what is computed, and graphs it must leave."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx_ir
import pytest
from distilforge.manifest import Span

from model_src import heads
from model_src.heads.features import Features
from model_src.initialize import initialize
from model_src.sentence.modules import POOLING_MODES, Pooling, SentenceModules
from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.graph.builder import Insertion
from pipeline.graph.file import Graph
from pipeline.passes import base, registry
from pipeline.passes.matching.token_rows import KEPT, LABEL
from pipeline.precision import int8_static
from pipeline.recipe.plan import preset
from tests import exports
from tests.graphs import (
    CONFIG,
    LAYERS,
    Array,
    add_reader,
    axes,
    calibration,
    exported,
    make_model,
    node,
    operators,
    pairwise,
    ragged,
    session,
    unmasked,
    what_is_read,
)
from tests.unit.pipeline.passes.checks import (
    apply_freely,
    assert_names_are_unique_and_paths,
    optimized_operators,
    run,
)

NAME = "drop_padding"
# Attention in parts, as one operator, and with a single query: what stands between padding and attention differs
PASSES = {
    "parts": ("flatten_tokens",),
    "mha": ("attention_mha", "flatten_tokens"),
    "flash": ("attention_mha_flash", "flatten_tokens"),
    "onnx": ("attention_onnx", "flatten_tokens"),
    "branches": ("attention_scale", "flatten_tokens", "mask_where_needed"),
    "packed": ("packed_qkv", "attention_mha", "flatten_tokens"),
    "fused": ("attention_mha", "skip_layer_norm", "bias_gelu", "embeddings", "transposes", "flatten_tokens"),
}
READS_FIRST_TOKEN = ("sequence_classification", "multiple_choice")


def masks(shape: tuple[int, ...]) -> dict[str, Array]:
    """Masks of every kind, each for a whole batch."""
    random = np.random.default_rng(4)
    right = ragged(shape, seed=1)["attention_mask"]
    return {
        # Its first text is masked throughout, and the others have a hole
        "right": right,
        "left": np.ascontiguousarray(right[..., ::-1]),
        "scattered": random.integers(0, 2, shape),
        "nothing": np.zeros(shape, dtype=np.int64),
        "everything": np.ones(shape, dtype=np.int64),
        # Anything but 0 is a token
        "large": right * 7,
    }


def shape_of_batch(head: str, rows: int, tokens: int) -> tuple[int, ...]:
    return (rows, 2, tokens) if head == "multiple_choice" else (rows, tokens)


def assert_equal_where_read(
    before: Graph, after: Graph, head: str, *, entries: dict[str, str] | None = None
) -> None:
    """Identical outputs at all tokens that are not masked and of all texts as a whole, and finite ones elsewhere."""
    sessions = [session(graph, optimized=False, entries=entries or {}) for graph in (before, after)]
    for rows, tokens in ((3, 7), (2, 1), (5, 16)):
        shape = shape_of_batch(head, rows, tokens)
        ids = ragged(shape)["input_ids"]
        for mask in masks(shape).values():
            feeds = {"input_ids": ids, "attention_mask": mask}
            expected_outputs, outputs = (opened.run(None, feeds) for opened in sessions)
            for expected, output in zip(expected_outputs, outputs, strict=True):
                assert output.shape == expected.shape
                assert np.isfinite(output).all()
                np.testing.assert_array_equal(what_is_read(output, mask), what_is_read(expected, mask))


def presets(head: str, precision: str) -> tuple[Graph, Graph]:
    """The graph of the CPU's plan without and with the pass."""
    plan = preset("onnxruntime-cpu", precision, head)
    graphs = []
    for names in (tuple(name for name in plan.final_passes if name != NAME), (*plan.final_passes, NAME)):
        graph = exported(head)
        base.apply(graph, [registry.find(name) for name in plan.passes])
        if plan.scheme:
            int8_static.write(graph, plan, calibration(head))
        base.apply(graph, [registry.find(name) for name in dict.fromkeys(names)])
        graph_file.check(graph)
        graphs.append(graph)
    return graphs[0], graphs[1]


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_plans_for_cpus_answer_the_same_to_the_bit(precision: str, head: str) -> None:
    before, after = presets(head, precision)
    assert_equal_where_read(before, after, head)
    assert any(f"_{LABEL}" in candidate.name for candidate in after.graph)


@pytest.mark.parametrize("head", ["token_classification", "multiple_choice"])
@pytest.mark.parametrize("names", PASSES.values(), ids=PASSES)
def test_same_answers_after_other_passes(names: tuple[str, ...], head: str) -> None:
    before, after = exported(head), exported(head)
    run(before, *names)
    # Named first, and applied last
    assert run(after, NAME, *names)[-1] == LAYERS + 1
    assert_equal_where_read(before, after, head)


@pytest.mark.parametrize("head", READS_FIRST_TOKEN)
@pytest.mark.parametrize("names", [("first_token",), ("attention_scale", "first_token", "single_query")])
def test_a_last_layer_for_the_first_token(names: tuple[str, ...], head: str) -> None:
    before, after = exported(head), exported(head)
    run(before, *names, "flatten_tokens")
    assert run(after, *names, "flatten_tokens", NAME)[-1] == LAYERS
    assert_equal_where_read(before, after, head)


def test_every_product_and_norm_computes_kept_tokens_alone() -> None:
    graph = exported("token_classification")
    run(graph, "flatten_tokens", NAME)
    by_weight = [
        candidate
        for candidate in graph.graph
        if candidate.op_type == "LayerNormalization"
        or (candidate.op_type == "MatMul" and candidate.inputs[1].producer() is None)
    ]
    assert len(by_weight) == 2 * LAYERS + 1 + 6 * LAYERS + 1
    assert {candidate.outputs[0].shape[0] for candidate in by_weight} == {KEPT}


def test_embeddings_are_looked_up_for_kept_tokens_alone() -> None:
    graph = exported("token_classification")
    run(graph, "flatten_tokens", NAME)
    tables = [
        candidate
        for candidate in graph.graph
        if candidate.op_type == "Gather" and "embeddings.weight" in str(candidate.inputs[0].name)
    ]
    assert [tuple(candidate.outputs[0].shape) for candidate in tables] == [(KEPT, CONFIG.dim)] * 2


def test_gathers_take_the_place_of_transposes() -> None:
    graph = exported("token_classification")
    run(graph, "flatten_tokens")
    transposes = operators(graph)["Transpose"]
    run(graph, NAME)
    # Of four in each layer, that of the keys stays, which also swaps tokens and channels
    assert transposes == 4 * LAYERS
    assert operators(graph)["Transpose"] == LAYERS


def test_logits_over_the_vocabulary_are_not_copied() -> None:
    graph = exported("masked_lm")
    run(graph, "flatten_tokens", NAME)
    (logits,) = graph.graph.outputs
    assert logits.producer().op_type == "Reshape"
    gathered = [
        candidate.outputs[0].shape
        for candidate in graph.graph
        if candidate.op_type == "Gather" and CONFIG.vocab_size in (candidate.outputs[0].shape or ())
    ]
    assert gathered == []


def test_padding_gets_the_first_tokens_answer() -> None:
    """So what stands there depends on its own text alone, and is finite."""
    graph = exported("token_classification")
    run(graph, "flatten_tokens", NAME)
    feeds = ragged((4, 9), seed=2)
    (logits,) = session(graph).run(None, feeds)
    for row, mask in zip(logits, feeds["attention_mask"], strict=True):
        if mask.any():
            np.testing.assert_array_equal(
                row[mask == 0], np.broadcast_to(row[0], (int((mask == 0).sum()), 3))
            )


def test_onnxruntime_still_makes_one_product_of_a_linear_layer() -> None:
    graph = exported("token_classification")
    run(graph, "attention_mha", "flatten_tokens", NAME)
    # Six linear layers in each block and that of the head: MatMul and Add become Gemm on two axes
    assert optimized_operators(graph)["Gemm"] == 6 * LAYERS + 1


@pytest.mark.parametrize("names", [("flatten_tokens",), ("attention_mha", "flatten_tokens")])
def test_again_changes_nothing_and_names_stay_unique(names: tuple[str, ...]) -> None:
    graph = exported("masked_lm")
    run(graph, *names, NAME)
    assert_names_are_unique_and_paths(graph)
    assert all(value.uses() for value in graph.graph.initializers.values())
    once = [candidate.name for candidate in graph.graph]
    assert apply_freely(graph, NAME).rewrites == 0
    assert [candidate.name for candidate in graph.graph] == once


@pytest.mark.parametrize("given", [("sequence",), ("batch", "sequence")], ids="-".join)
@pytest.mark.parametrize("head", ["token_classification", "sequence_classification"])
def test_axes_of_one_size_alone(head: str, given: tuple[str, ...]) -> None:
    """Where a release's spans have one size, the graph has numbers for its axes."""
    sizes = {"batch": 3, "sequence": 9}
    spans = {axis: Span(low=sizes[axis], usual=sizes[axis], high=sizes[axis]) for axis in given}
    graphs = [exports.export(make_model(head, n_layers=1), axes(head, **spans)) for _ in range(2)]
    plan = preset("onnxruntime-cpu", "fp32", head)
    for graph in graphs:
        run(graph, *plan.passes)
    run(graphs[1], NAME)
    for mask in masks((3, 9)).values():
        feeds = {"input_ids": ragged((3, 9))["input_ids"], "attention_mask": mask}
        (expected,), (output,) = (session(graph).run(None, feeds) for graph in graphs)
        read = mask != 0 if head == "token_classification" else slice(None)
        np.testing.assert_array_equal(output[read], expected[read])


def no_flat_hidden_states(graph: Graph) -> None:
    """As it is exported."""


def an_attention_without_a_mask(graph: Graph) -> None:
    run(graph, "flatten_tokens")
    attention = "distilbert.transformer.layer.1.attention"
    node(graph, f"{attention}/Softmax").replace_input_with(0, node(graph, f"{attention}/MatMul").outputs[0])


def another_reader_of_all_tokens(graph: Graph) -> None:
    run(graph, "flatten_tokens")
    add_reader(graph, node(graph, "distilbert.transformer.layer.0/Add").outputs[0])


def a_sum_over_tokens(graph: Graph) -> None:
    run(graph, "flatten_tokens")
    hidden = node(graph, "distilbert.transformer.layer.0/Add").outputs[0]
    total = onnx_ir.node("ReduceSum", [hidden], attributes={"keepdims": 1}, name="extra/ReduceSum")
    total.outputs[0].shape, total.outputs[0].type = onnx_ir.Shape([1, 1]), hidden.type
    total.outputs[0].name = "extra"
    graph.graph.append(total)
    graph.graph.outputs.append(total.outputs[0])


def embeddings_that_are_masked(graph: Graph) -> None:
    run(graph, "flatten_tokens")
    entry = node(graph, "distilbert.embeddings/Reshape_flat")
    mask = graph.graph.inputs[1]
    at = Insertion.before(graph, entry, dtype=onnx_ir.DataType.FLOAT)
    shape = [*mask.shape, 1]
    weights = at.add(
        "Unsqueeze", [mask, at.sizes(2)], label="weights", shape=shape, dtype=onnx_ir.DataType.INT64
    )
    weights = at.add("Cast", [weights], label="weights", shape=shape, attributes={"to": 1})
    summed = entry.inputs[0]
    entry.replace_input_with(0, at.add("Mul", [summed, weights], label="weights", shape=summed.shape))


def a_mask_of_another_name(graph: Graph) -> None:
    run(graph, "flatten_tokens")
    graph.graph.inputs[1].name = "mask"


FAULTS: dict[Callable[[Graph], None], str] = {
    no_flat_hidden_states: "apply flatten_tokens before",
    an_attention_without_a_mask: r"layer\.1\.attention/Reshape_flat_output_0: tokens are combined without the mask",
    another_reader_of_all_tokens: "an output of the graph reads rows",
    a_sum_over_tokens: "ReduceSum does not compute each token separately",
    embeddings_that_are_masked: "Reshape_flat_output_0: the mask enters into its rows ahead of attention",
    a_mask_of_another_name: "no int64 input attention_mask",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_refuses_with_the_reason_and_changes_nothing(fault: Callable[[Graph], None]) -> None:
    graph = exported("token_classification")
    fault(graph)
    before = [
        (candidate.name, [value and value.name for value in candidate.inputs]) for candidate in graph.graph
    ]
    with pytest.raises(ContractError, match=f"{NAME} matched 0 times.*{FAULTS[fault]}"):
        base.apply(graph, [registry.find(NAME)])
    after = [
        (candidate.name, [value and value.name for value in candidate.inputs]) for candidate in graph.graph
    ]
    assert after == before


def sentence_encoders(modes: tuple[str, ...]) -> tuple[Graph, Graph]:
    """The same graph twice."""
    modules = SentenceModules(
        modules=(Pooling(modes=modes),),
        layer_names=(),
        max_seq_length=None,
        do_lower_case=False,
        files=(),
        copies={},
        types=(),
    )
    config = replace(CONFIG, n_layers=1)
    model = Features(config, "eager", modules).eval()
    initialize(model, config)
    before, after = (exports.export(model, axes("features")) for _ in range(2))
    return before, after


@pytest.mark.parametrize("modes", [*((mode,) for mode in POOLING_MODES), POOLING_MODES], ids="-".join)
def test_weights_that_are_zero_at_padding_stay_zero_there(modes: tuple[str, ...]) -> None:
    before, after = sentence_encoders(modes)
    run(before, "flatten_tokens")
    assert run(after, "flatten_tokens", NAME)[-1] == 2
    assert_equal_where_read(before, after, "features")


def test_pairwise_masks_are_refused() -> None:
    graph = pairwise()
    run(graph, "flatten_tokens")
    with pytest.raises(ContractError, match="the axes batch and tokens"):
        run(graph, NAME)


def test_a_batch_without_padding_computes_every_token() -> None:
    before, after = exported("features"), exported("features")
    run(before, "flatten_tokens")
    run(after, "flatten_tokens", NAME)
    feeds = unmasked((3, 9))
    for expected, output in zip(
        session(before).run(None, feeds), session(after).run(None, feeds), strict=True
    ):
        np.testing.assert_array_equal(output, expected)
