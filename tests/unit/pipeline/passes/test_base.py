"""Order, contracts and records of passes."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph.file import Graph
from pipeline.passes.base import Applied, Pass, apply, layers, ordered


def graph_of(*weights: str) -> Graph:
    tensors = [
        onnx_ir.Value(name=name, const_value=onnx_ir.tensor(np.zeros(1, np.float32), name=name))
        for name in weights
    ]
    inner = onnx_ir.Graph((), (), nodes=(), initializers=tensors, opset_imports={"": 20})
    return onnx_ir.Model(inner, ir_version=10)


TWO_LAYERS = graph_of(
    "distilbert.transformer.layer.0.ffn.lin1.weight",
    "distilbert.transformer.layer.1.ffn.lin1.weight",
    "distilbert.transformer.layer.1.ffn.lin1.bias",
    "classifier.weight",
)


def making(rewrites: int, *refusals: str, name: str = "some", **rest: object) -> Pass:
    return Pass(
        name=name, summary="", run=lambda graph: Applied(rewrites=rewrites, refusals=refusals), **rest
    )


def test_layers_are_counted_by_the_weights_names() -> None:
    assert layers(TWO_LAYERS) == 2
    assert layers(graph_of("transformer.layer.10.ffn.lin1.weight")) == 1
    assert layers(graph_of("classifier.weight")) == 0


def test_after_puts_passes_in_order_and_else_the_order_given_holds() -> None:
    passes = [
        making(0, name="third", after=("second", "absent")),
        making(0, name="free"),
        making(0, name="second", after=("first",)),
        making(0, name="first"),
    ]
    names = [each.name for each in ordered(passes)]
    assert names.index("first") < names.index("second") < names.index("third")
    unordered = [making(0, name=name) for name in "cab"]
    assert [each.name for each in ordered(unordered)] == ["c", "a", "b"]


def test_records_what_each_made() -> None:
    found = apply(TWO_LAYERS, [making(3, name="one", per_layer=1), making(0, name="other")])
    assert [(each.name, each.rewrites) for each in found] == [("one", 3), ("other", 0)]


@pytest.mark.parametrize(
    ("contract", "rewrites", "fewest"),
    [({"per_layer": 2}, 3, 4), ({"per_graph": 1}, 0, 1), ({"per_layer": 1, "per_graph": 3}, 2, 3)],
)
def test_fewer_than_the_contract_is_an_error_with_the_reason(
    contract: dict[str, int], rewrites: int, fewest: int
) -> None:
    apply(TWO_LAYERS, [making(fewest, **contract)])
    with pytest.raises(
        ContractError,
        match=rf"some matched {rewrites} times, must match at least {fewest} times: lin1: too wide",
    ):
        apply(TWO_LAYERS, [making(rewrites, "lin1: too wide", "lin1: too wide", **contract)])


def test_one_that_must_rewrite_every_match_stops_at_a_refusal_however_many_it_made() -> None:
    enough = {"per_layer": 2, "per_graph": 1}
    apply(TWO_LAYERS, [making(5, "lin1: too wide", **enough), making(5, every=True, **enough)])
    with pytest.raises(
        ContractError, match="some matched 5 times, must match at least 6 times: lin1: too wide"
    ):
        apply(TWO_LAYERS, [making(5, "lin1: too wide", every=True, **enough)])


def test_a_contract_for_each_layer_is_broken_by_a_graph_in_which_no_layer_is_known() -> None:
    with pytest.raises(ContractError, match="some matched 0 times, must match at least 1 times"):
        apply(graph_of("onnx::MatMul_17"), [making(0, per_layer=1)])


def test_nothing_after_a_broken_contract_is_run() -> None:
    def never(graph: Graph) -> Applied:
        raise AssertionError

    with pytest.raises(ContractError, match="some"):
        apply(
            TWO_LAYERS, [making(0, per_graph=1), Pass(name="later", summary="", run=never, after=("some",))]
        )


def test_passes_that_wait_for_each_other_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"first.*second|second.*first"):
        ordered([making(0, name="first", after=("second",)), making(0, name="second", after=("first",))])
