"""The division of queries inside the projection's weights: the same scores, and divisions that must stay."""

import numpy as np
import onnx_ir
import pytest

from pipeline.graph.builder import Insertion, shared_constant
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of
from tests.graphs import LAYERS, exported, node, operators, pairwise, ragged
from tests.unit.pipeline.passes.checks import (
    Fault,
    assert_equal_to_the_bit,
    assert_refused_in_one_layer,
    assert_same,
    run,
)

NAME = "attention_scale"
ATTENTION = "distilbert.transformer.layer.1.attention"


def test_weight_and_bias_are_divided_and_the_rest_is_as_it_was() -> None:
    before, after = exported(), exported()
    run(after, NAME)
    assert "Div" not in operators(after)
    (divisor,) = before.graph.initializers.keys() - after.graph.initializers.keys()
    assert divisor.startswith("constant_")
    for name, value in after.graph.initializers.items():
        factor = 8**0.5 if ".q_lin." in name else 1.0
        original = array_of(before.graph.initializers[name])
        np.testing.assert_allclose(array_of(value) * np.float32(factor), original, rtol=1e-6)


def test_a_root_that_is_a_power_of_two_changes_no_bit() -> None:
    # 2 heads of 16 channels, whose root is 4
    before, after = (exported(n_layers=1, n_heads=2) for _ in range(2))
    run(after, NAME)
    assert_equal_to_the_bit(before, after, ragged((3, 9)))


def test_pairwise_masks() -> None:
    before, after = pairwise(), pairwise()
    run(after, NAME)
    feeds = ragged((3, 9))
    feeds["attention_mask"] = np.tril(np.ones((3, 9, 9), dtype=np.int64))
    assert_same(before, after, feeds)


@pytest.mark.parametrize("others", [("flatten_tokens",), ("packed_qkv",), ("first_token", "flatten_tokens")])
def test_with_passes_after_it(others: tuple[str, ...]) -> None:
    before, after = exported(), exported()
    assert LAYERS in run(after, *others, NAME)
    assert "Div" not in operators(after)
    assert_same(before, after, ragged((3, 7)))


def divide_by(graph: Graph, array: np.ndarray) -> None:
    node(graph, f"{ATTENTION}/Div").replace_input_with(1, shared_constant(graph, array))


def a_divisor_that_is_computed(graph: Graph) -> None:
    divide = node(graph, f"{ATTENTION}/Div")
    insertion = Insertion.before(graph, divide, module="extra")
    square = insertion.constant(np.array(8, dtype=np.float32))
    divide.replace_input_with(1, insertion.add("Sqrt", [square], shape=[]))


def a_divisor_for_each_channel(graph: Graph) -> None:
    divide_by(graph, np.full(8, 2.5, dtype=np.float32))


def a_divisor_of_zero(graph: Graph) -> None:
    divide_by(graph, np.array(0, dtype=np.float32))


def queries_that_are_keys_too(graph: Graph) -> None:
    projected = node(graph, f"{ATTENTION}.q_lin/Add").outputs[0]
    node(graph, f"{ATTENTION}/Reshape_1").replace_input_with(0, projected)


def queries_that_are_an_output(graph: Graph) -> None:
    graph.graph.outputs.append(node(graph, f"{ATTENTION}.q_lin/Add").outputs[0])


def a_product_that_is_an_output(graph: Graph) -> None:
    graph.graph.outputs.append(node(graph, f"{ATTENTION}.q_lin/MatMul").outputs[0])


def weights_that_keys_share(graph: Graph) -> None:
    weight = node(graph, f"{ATTENTION}.q_lin/MatMul").inputs[1]
    node(graph, f"{ATTENTION}.k_lin/MatMul").replace_input_with(1, weight)


def a_weight_in_whole_numbers(graph: Graph) -> None:
    """Read through a Cast, so that the weight itself is not constant."""
    product = node(graph, f"{ATTENTION}.q_lin/MatMul")
    insertion = Insertion.before(graph, product, module="extra")
    weight = product.inputs[1]
    numbers = insertion.constant(np.ones(tuple(weight.shape), dtype=np.int8))
    to_float = {"to": int(onnx_ir.DataType.FLOAT)}
    product.replace_input_with(1, insertion.add("Cast", [numbers], attributes=to_float, shape=weight.shape))


def no_bias(graph: Graph) -> None:
    add = node(graph, f"{ATTENTION}.q_lin/Add")
    add.outputs[0].replace_all_uses_with(node(graph, f"{ATTENTION}.q_lin/MatMul").outputs[0])
    graph.graph.remove(add, safe=True)


FAULTS: dict[Fault, str] = {
    a_divisor_that_is_computed: "its divisor is not a single constant",
    a_divisor_for_each_channel: "its divisor is not a single constant",
    a_divisor_of_zero: "its divisor is 0.0, must be positive",
    queries_that_are_keys_too: "has other readers",
    queries_that_are_an_output: "has other readers",
    a_product_that_is_an_output: "has other readers",
    weights_that_keys_share: "is not a floating point constant of its own",
    a_weight_in_whole_numbers: "is not a floating point constant of its own",
    no_bias: "does not add a bias to a matrix product",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_refuses_with_the_reason_and_keeps_the_answers(fault: Fault) -> None:
    before, after = assert_refused_in_one_layer(NAME, fault, FAULTS[fault])
    # Infinite scores have no answers to compare
    if fault is not a_divisor_of_zero:
        assert_same(before, after, ragged((3, 7)))
