"""Questions about values: who computes them and who reads them."""

from pipeline.graph.values import (
    array_of,
    is_operator,
    module_of_value,
    node_of,
    other_input,
    producer,
    sole_reader,
)
from tests.graphs import exported, node

LAYER = "distilbert.transformer.layer.0"


def test_who_computes_and_who_reads_a_value() -> None:
    graph = exported()
    add, product = node(graph, f"{LAYER}.ffn.lin1/Add"), node(graph, f"{LAYER}.ffn.lin1/MatMul")
    sums = product.outputs[0]
    assert node_of(sums) is product
    assert producer(add, 0) is product
    assert producer(add, 1) is None
    assert producer(add, 2) is None
    assert sole_reader(sums) is add
    bias = other_input(add, sums)
    assert bias.name == f"{LAYER}.ffn.lin1.bias"
    assert array_of(bias).shape == (64,)
    assert array_of(sums) is None
    assert array_of(None) is None
    assert module_of_value(sums) == f"{LAYER}.ffn.lin1"
    assert module_of_value(bias) == "graph"


def test_an_output_of_the_graph_and_a_value_with_two_readers_have_no_sole_reader() -> None:
    graph = exported()
    sums = node(graph, f"{LAYER}.ffn.lin1/MatMul").outputs[0]
    graph.graph.outputs.append(sums)
    assert sole_reader(sums) is None
    assert sole_reader(node(graph, f"{LAYER}.sa_layer_norm/LayerNormalization").outputs[0]) is None


def test_an_operator_is_one_of_a_domain() -> None:
    gelu = node(exported(), f"{LAYER}.ffn/Gelu")
    assert is_operator(gelu, "Relu", "Gelu")
    assert not is_operator(gelu, "Gelu", domain="com.microsoft")
