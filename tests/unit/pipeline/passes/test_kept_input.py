"""The places of kept tokens as an input: the answers of `drop_padding`, and graphs that it must leave."""

import numpy as np
import pytest
from distilforge import kept_tokens
from distilforge.onnxruntime.engine import CPU, engine_of

from model_src import heads
from pipeline.errors import ContractError
from pipeline.recipe.plan import preset
from pipeline.stages.transform import transform
from tests.graphs import axes, calibration, exported, operators, ragged, session, unmasked
from tests.unit.pipeline.passes.checks import apply_freely, run

NAMES = ("attention_onnx", "flatten_tokens", "drop_padding")


@pytest.mark.parametrize("head", heads.names())
def test_same_answers_to_the_bit(head: str) -> None:
    before, after = exported(head), exported(head)
    run(before, *NAMES)
    # Named first, and applied last
    assert run(after, "kept_input", *NAMES)[-1] == 1
    assert operators(after)["NonZero"] == 0
    assert [value.name for value in after.graph.inputs] == ["input_ids", "attention_mask", "kept_tokens"]
    expected, engine = (engine_of(session(graph, optimized=False), [CPU]) for graph in (before, after))
    assert engine.inputs == expected.inputs
    for rows, tokens in ((3, 7), (2, 1), (1, 32), (7, 30)):
        shape = (rows, 2, tokens) if head == "multiple_choice" else (rows, tokens)
        # Of the masks, one is empty, and others have holes
        for feeds in (ragged(shape), unmasked(shape)):
            for name, wanted in expected.run(feeds).items():
                np.testing.assert_array_equal(engine.run(feeds)[name], wanted)


def test_fewer_rows_are_computed_than_the_batch_has_slots() -> None:
    graph = exported("token_classification")
    run(graph, *NAMES, "kept_input")
    product = next(node for node in graph.graph if node.op_type == "MatMul")
    graph.graph.outputs.append(product.outputs[0])
    mask = (np.arange(32) < np.array([[32], [8], [8], [8]])).astype(np.int64)
    feeds = {"input_ids": np.ones_like(mask), "attention_mask": mask}
    rows = session(graph, optimized=False).run([product.outputs[0].name], dict(kept_tokens.complete(feeds)))[
        0
    ]
    assert mask.size == 128
    assert rows.shape[0] == mask.sum() + 8 == 64


@pytest.mark.parametrize("names", [(), ("attention_onnx", "flatten_tokens")])
def test_it_needs_a_graph_that_drops_padding(names: tuple[str, ...]) -> None:
    graph = exported("token_classification")
    run(graph, *names)
    with pytest.raises(ContractError, match=r"kept_input matched 0 times.*nothing drops padding") as caught:
        run(graph, "kept_input")
    assert "drop_padding" in str(caught.value.hint)
    assert apply_freely(graph, "kept_input").rewrites == 0


def test_applied_twice_it_finds_nothing() -> None:
    graph = exported("token_classification")
    run(graph, *NAMES, "kept_input")
    assert apply_freely(graph, "kept_input").rewrites == 0


@pytest.mark.parametrize("head", heads.names())
def test_the_plan_for_engines_has_a_fused_attention_in_each_layer(head: str) -> None:
    before, after = exported(head), exported(head)
    transform(before, preset("tensorrt-rtx", "fp16", head), calibration(head))
    transform(after, preset("tensorrt-rtx", "fp16_unpadded", head), calibration(head))
    assert operators(after)["Attention"] == operators(before)["Attention"] > 0
    assert operators(after)["LayerNormalization"] == operators(before)["LayerNormalization"]
    assert axes(head).keys() <= {"batch", "choices", "sequence"}
