"""Order, contracts and records of passes."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph.builder import initializer
from pipeline.graph.file import Graph
from pipeline.passes.base import Pass, PassResult, apply, layers, ordered


def graph_of(*weights: str) -> Graph:
    graph = onnx_ir.Model(onnx_ir.Graph((), (), nodes=(), opset_imports={"": 20}), ir_version=10)
    for name in weights:
        initializer(graph, name, np.zeros(1, np.float32))
    return graph


TWO_LAYERS = graph_of(
    "distilbert.transformer.layer.0.ffn.lin1.weight",
    "distilbert.transformer.layer.1.ffn.lin1.weight",
    "distilbert.transformer.layer.1.ffn.lin1.bias",
    "classifier.weight",
)


def pass_with(rewrites: int, *refusals: str, name: str = "some", **rest: object) -> Pass:
    return Pass(
        name=name, summary="", run=lambda graph: PassResult(rewrites=rewrites, refusals=refusals), **rest
    )


def test_layers_are_counted_by_the_names_of_weights() -> None:
    assert layers(TWO_LAYERS) == 2
    assert layers(graph_of("transformer.layer.10.ffn.lin1.weight")) == 1
    assert layers(graph_of("classifier.weight")) == 0


def test_after_puts_passes_in_order_and_otherwise_the_given_order_holds() -> None:
    passes = [
        pass_with(0, name="third", after=("second", "absent")),
        pass_with(0, name="free"),
        pass_with(0, name="second", after=("first",)),
        pass_with(0, name="first"),
    ]
    names = [entry.name for entry in ordered(passes)]
    assert names.index("first") < names.index("second") < names.index("third")
    unordered = [pass_with(0, name=name) for name in "cab"]
    assert [entry.name for entry in ordered(unordered)] == ["c", "a", "b"]


def test_records_how_often_each_rewrote() -> None:
    records = apply(TWO_LAYERS, [pass_with(3, name="one", per_layer=1), pass_with(0, name="other")])
    assert [(record.name, record.rewrites) for record in records] == [("one", 3), ("other", 0)]


@pytest.mark.parametrize(
    ("contract", "rewrites", "fewest"),
    [({"per_layer": 2}, 3, 4), ({"per_graph": 1}, 0, 1), ({"per_layer": 1, "per_graph": 3}, 2, 3)],
)
def test_fewer_than_the_contract_is_an_error_with_the_reason(
    contract: dict[str, int], rewrites: int, fewest: int
) -> None:
    apply(TWO_LAYERS, [pass_with(fewest, **contract)])
    with pytest.raises(
        ContractError,
        match=rf"some matched {rewrites} times, must match at least {fewest} times: lin1: too wide",
    ):
        apply(TWO_LAYERS, [pass_with(rewrites, "lin1: too wide", "lin1: too wide", **contract)])


def test_one_that_must_rewrite_every_match_stops_at_a_refusal_however_many_it_made() -> None:
    enough = {"per_layer": 2, "per_graph": 1}
    apply(TWO_LAYERS, [pass_with(5, "lin1: too wide", **enough), pass_with(5, every=True, **enough)])
    with pytest.raises(
        ContractError, match="some matched 5 times, must match at least 6 times: lin1: too wide"
    ):
        apply(TWO_LAYERS, [pass_with(5, "lin1: too wide", every=True, **enough)])


def test_a_contract_for_each_layer_is_broken_by_a_graph_in_which_no_layer_is_known() -> None:
    with pytest.raises(ContractError, match="some matched 0 times, must match at least 1 times"):
        apply(graph_of("onnx::MatMul_17"), [pass_with(0, per_layer=1)])


def test_nothing_after_a_broken_contract_is_run() -> None:
    def never(graph: Graph) -> PassResult:
        raise AssertionError

    with pytest.raises(ContractError, match="some"):
        apply(
            TWO_LAYERS,
            [pass_with(0, per_graph=1), Pass(name="later", summary="", run=never, after=("some",))],
        )


def test_passes_that_wait_for_each_other_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"first.*second|second.*first"):
        ordered(
            [pass_with(0, name="first", after=("second",)), pass_with(0, name="second", after=("first",))]
        )
