"""A session of a graph whose weights are handed to ONNX Runtime without a file."""

from pathlib import Path

import numpy as np
import onnx_ir
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph

from pipeline.graph import file as graph_file
from pipeline.graph import session as graph_session
from tests.graphs import CONFIG, exported
from validation.answers.generated import random_feeds

FEEDS = random_feeds((3, 9), CONFIG.vocab_size, np.random.default_rng(0))


def options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


def test_it_answers_as_the_file_does_and_leaves_the_graph_as_it_was(tmp_path: Path) -> None:
    graph = exported()
    before = {name: value.const_value for name, value in graph.graph.initializers.items()}
    graph_file.save(graph, tmp_path / "model.onnx")
    by_file = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", options(), providers=["CPUExecutionProvider"]
    )
    outputs = graph_session.session(graph, options()).run(None, FEEDS)
    for expected, output in zip(by_file.run(None, FEEDS), outputs, strict=True):
        np.testing.assert_array_equal(output, expected)
    assert {name: value.const_value for name, value in graph.graph.initializers.items()} == before


def test_weights_that_lie_beside_the_graphs_file_are_read_from_there(tmp_path: Path) -> None:
    graph = exported()
    (expected,) = graph_session.session(graph, options()).run(None, FEEDS)
    names = graph_file.save(graph, tmp_path / "model.onnx", largest_single_file_bytes=0)
    assert len(names) == 2
    loaded = graph_file.load(tmp_path / "model.onnx")
    small = [value for value in loaded.graph.initializers.values() if value.const_value.nbytes < 1024]
    assert any(isinstance(value.const_value, onnx_ir.ExternalTensor) for value in small)
    (output,) = graph_session.session(loaded, options()).run(None, FEEDS)
    np.testing.assert_array_equal(output, expected)


def test_weights_in_columns_order_and_of_types_that_numpy_lacks_are_the_same_numbers() -> None:
    columns = np.asfortranarray(np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32))
    read = onnx_ir.val("read", onnx_ir.DataType.FLOAT, [2, 64])
    weight = onnx_ir.val("weight", const_value=onnx_ir.tensor(columns, name="weight"))
    small = onnx_ir.val(
        "small",
        const_value=onnx_ir.tensor(columns.astype(onnx_ir.DataType.BFLOAT16.numpy()), name="small"),
    )
    cast = onnx_ir.node("Cast", [small], {"to": onnx_ir.DataType.FLOAT})
    total = onnx_ir.node("Add", [weight, cast.outputs[0]])
    product = onnx_ir.node("MatMul", [read, total.outputs[0]])
    product.outputs[0].name, product.outputs[0].dtype = "product", onnx_ir.DataType.FLOAT
    graph = onnx_ir.Model(
        onnx_ir.Graph(
            [read],
            product.outputs,
            nodes=[cast, total, product],
            initializers=[weight, small],
            opset_imports={"": 20},
        ),
        ir_version=10,
    )
    rows = np.eye(2, 64, dtype=np.float32)
    (output,) = graph_session.session(graph, options()).run(None, {"read": rows})
    rounded = columns.astype(onnx_ir.DataType.BFLOAT16.numpy()).astype(np.float32)
    # Two fp32 roundings
    np.testing.assert_allclose(output, (columns + rounded)[:2], rtol=1e-6)


def test_a_graph_that_does_not_load_keeps_its_weights() -> None:
    graph = exported()
    before = {name: value.const_value for name, value in graph.graph.initializers.items()}
    next(node for node in graph.graph if node.op_type == "MatMul").op_type = "NoSuchOperator"
    with pytest.raises(InvalidGraph, match="NoSuchOperator"):
        graph_session.session(graph, options())
    assert {name: value.const_value for name, value in graph.graph.initializers.items()} == before
