"""The division of queries inside the projection's weights: the same scores, and divisions that must stay."""

from collections.abc import Callable

import numpy as np
import onnx_ir
import pytest

from pipeline.graph import file as graph_file
from pipeline.passes.matching.rewriting import constant
from tests.unit.pipeline.passes.graphs import (
    LAYERS,
    answer,
    assert_same,
    exported,
    node,
    operators,
    pairwise,
    ragged,
    refused_in_one_layer,
    run,
)

NAME = "attention_scale"
ATTENTION = "distilbert.transformer.layer.1.attention"


def array(made: graph_file.Graph, name: str) -> np.ndarray:
    return made.graph.initializers[name].const_value.numpy()


def test_weight_and_bias_are_divided_and_the_rest_is_as_it_was() -> None:
    before, after = exported(), exported()
    run(after, NAME)
    assert "Div" not in operators(after)
    assert after.graph.initializers.keys() == before.graph.initializers.keys() - {"constant_7"}
    for name in after.graph.initializers:
        factor = 8**0.5 if ".q_lin." in name else 1.0
        np.testing.assert_allclose(array(after, name) * np.float32(factor), array(before, name), rtol=1e-6)


def test_a_root_that_is_a_power_of_two_changes_no_bit() -> None:
    # 2 heads of 16 channels, whose root is 4
    before, after = exported(n_heads=2), exported(n_heads=2)
    run(after, NAME)
    feeds = ragged((3, 9))
    np.testing.assert_array_equal(answer(after, feeds)[0], answer(before, feeds)[0])


def test_pairwise_masks() -> None:
    before, after = pairwise(), pairwise()
    run(after, NAME)
    feeds = ragged((3, 9))
    feeds["attention_mask"] = np.tril(np.ones((3, 9, 9), dtype=np.int64))
    assert_same(before, after, feeds)


@pytest.mark.parametrize("others", [("flatten_tokens",), ("packed_qkv",), ("first_token", "flatten_tokens")])
def test_with_what_comes_after_it(others: tuple[str, ...]) -> None:
    before, after = exported(), exported()
    assert LAYERS in run(after, *others, NAME)
    assert "Div" not in operators(after)
    assert_same(before, after, ragged((3, 7)))


def a_divisor_that_is_computed(made: graph_file.Graph) -> None:
    divide = node(made, f"{ATTENTION}/Div")
    root = onnx_ir.node("Sqrt", [constant(made, np.array(8, dtype=np.float32))], name="extra/Sqrt")
    root.outputs[0].name, root.outputs[0].type = "extra", divide.outputs[0].type
    root.outputs[0].shape = onnx_ir.Shape([])
    made.graph.insert_before(divide, root)
    divide.replace_input_with(1, root.outputs[0])


def a_divisor_for_each_channel(made: graph_file.Graph) -> None:
    node(made, f"{ATTENTION}/Div").replace_input_with(1, constant(made, np.full(8, 2.5, dtype=np.float32)))


def a_divisor_of_zero(made: graph_file.Graph) -> None:
    node(made, f"{ATTENTION}/Div").replace_input_with(1, constant(made, np.array(0, dtype=np.float32)))


def queries_that_are_keys_too(made: graph_file.Graph) -> None:
    projected = node(made, f"{ATTENTION}.q_lin/Add").outputs[0]
    node(made, f"{ATTENTION}/Reshape_1").replace_input_with(0, projected)


def queries_that_are_an_output(made: graph_file.Graph) -> None:
    made.graph.outputs.append(node(made, f"{ATTENTION}.q_lin/Add").outputs[0])


def a_product_that_is_an_output(made: graph_file.Graph) -> None:
    made.graph.outputs.append(node(made, f"{ATTENTION}.q_lin/MatMul").outputs[0])


def weights_that_keys_share(made: graph_file.Graph) -> None:
    weight = node(made, f"{ATTENTION}.q_lin/MatMul").inputs[1]
    node(made, f"{ATTENTION}.k_lin/MatMul").replace_input_with(1, weight)


def no_bias(made: graph_file.Graph) -> None:
    add = node(made, f"{ATTENTION}.q_lin/Add")
    add.outputs[0].replace_all_uses_with(node(made, f"{ATTENTION}.q_lin/MatMul").outputs[0])
    made.graph.remove(add, safe=True)


FAULTS: dict[Callable[[graph_file.Graph], None], str] = {
    a_divisor_that_is_computed: "its divisor is no single constant",
    a_divisor_for_each_channel: "its divisor is no single constant",
    a_divisor_of_zero: "its divisor is 0.0, must be positive",
    queries_that_are_keys_too: "has other readers",
    queries_that_are_an_output: "has other readers",
    a_product_that_is_an_output: "has other readers",
    weights_that_keys_share: "is no constant of its own",
    no_bias: "is no bias added to a matrix product",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_refuses_with_the_reason_and_keeps_the_answers(fault: Callable[[graph_file.Graph], None]) -> None:
    before, after = refused_in_one_layer(NAME, fault, FAULTS[fault])
    if fault is not a_divisor_of_zero:
        feeds = ragged((3, 7))
        for found, expected in zip(answer(after, feeds), answer(before, feeds), strict=True):
            np.testing.assert_allclose(found[1:], expected[1:], rtol=0, atol=1e-5)
