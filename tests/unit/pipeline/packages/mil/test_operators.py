"""Operators in coremltools' language compute what ONNX Runtime computes.

The model is written, read again and evaluated as the package's self-test does it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import onnxruntime
import pytest
from distilforge.manifest import Span
from onnx import TensorProto, helper, numpy_helper

from pipeline.errors import StageError
from tests import coreml_self_test

pytest.importorskip("coremltools", reason="coremltools has wheels for Macs and for x86-64 Linux alone")

# coremltools leaves the removal of its temporary folder to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Array = npt.NDArray[np.generic]

HIDDEN = 8
SPANS = {"sequence": Span(low=1, usual=5, high=9)}
IDS = np.array([[3, 0, 6, 1, 5]], np.int64)
RANDOM = np.random.default_rng(7)
TABLE = RANDOM.standard_normal((7, HIDDEN)).astype(np.float32)


def node(
    operator: str, *inputs: str, output: str = "y", domain: str = "", **attributes: object
) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [output], domain=domain, **attributes)


def model(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Array]) -> onnx.ModelProto:
    """A model from ids (1, sequence) to y; `x` is a table's rows of the ids, (1, sequence, 8)."""
    graph = helper.make_graph(
        [node("Gather", "table", "ids", output="x"), *nodes],
        "graph",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(array, name) for name, array in {"table": TABLE, **constants}.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def evaluated(proto: onnx.ModelProto, folder: Path) -> Array:
    """The model's answer to IDS, after it was written in coremltools' language."""
    from pipeline.packages.mil import translation

    written = translation.translate(onnx_ir.from_proto(proto), SPANS, batch=1, half=False)
    path = folder / "model.mlpackage"
    written.save(str(path))
    (answer,) = coreml_self_test.load().evaluate(path)({"ids": IDS.astype(np.int32)}).values()
    return np.asarray(answer)


def floats(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


def integers(*values: int) -> Array:
    return np.array(values, np.int64)


BIAS = floats(1, 1, 1, 5)
CASES: Mapping[str, tuple[Sequence[onnx.NodeProto], Mapping[str, Array]]] = {
    "add": ([node("Add", "x", "c")], {"c": floats(HIDDEN)}),
    "sub": ([node("Sub", "x", "c")], {"c": floats(HIDDEN)}),
    "mul": ([node("Mul", "x", "c")], {"c": floats(HIDDEN)}),
    "div": ([node("Div", "x", "c")], {"c": floats(HIDDEN)}),
    "equal and cast": (
        [node("Equal", "ids", "zero", output="e"), node("Cast", "e", to=TensorProto.FLOAT)],
        {"zero": integers(0)},
    ),
    "cast of integers": ([node("Cast", "ids", to=TensorProto.FLOAT)], {}),
    "matmul": ([node("MatMul", "x", "c")], {"c": floats(HIDDEN, 3)}),
    "gemm": (
        [
            node("Reshape", "x", "flat", output="r"),
            node("Gemm", "r", "c", "b", transB=1),
        ],
        {"flat": integers(-1, HIDDEN), "c": floats(3, HIDDEN), "b": floats(3)},
    ),
    "gemm without a bias": (
        [node("Reshape", "x", "flat", output="r"), node("Gemm", "r", "c")],
        {"flat": integers(-1, HIDDEN), "c": floats(HIDDEN, 3)},
    ),
    "relu": ([node("Relu", "x")], {}),
    "gelu": ([node("Gelu", "x")], {}),
    "gelu by tanh": ([node("Gelu", "x", approximate="tanh")], {}),
    "layer norm": (
        [node("LayerNormalization", "x", "g", "b", epsilon=1e-3)],
        {"g": floats(HIDDEN), "b": floats(HIDDEN)},
    ),
    "layer norm without a bias": ([node("LayerNormalization", "x", "g")], {"g": floats(HIDDEN)}),
    "softmax": ([node("Softmax", "x", axis=1)], {}),
    "gather of one": ([node("Gather", "x", "i", axis=1)], {"i": np.array(0, np.int64)}),
    "transpose": ([node("Transpose", "x", perm=[0, 2, 1])], {}),
    "squeeze": ([node("Squeeze", "x", "axes")], {"axes": integers(0)}),
    "unsqueeze": ([node("Unsqueeze", "x", "axes")], {"axes": integers(1, 2)}),
    "slice": (
        [node("Slice", "x", "starts", "ends", "axes", "steps")],
        {
            "starts": integers(1, -6),
            "ends": integers(2**63 - 1, -1),
            "axes": integers(1, 2),
            "steps": integers(2, 1),
        },
    ),
    "slice of the first axes": (
        [node("Slice", "x", "starts", "ends")],
        {"starts": integers(0, 1), "ends": integers(1, 3)},
    ),
    "range over a shape": (
        [
            node("Shape", "ids", start=1, end=2, output="s"),
            node("Squeeze", "s", output="n"),
            node("Range", "zero", "n", "one"),
        ],
        {"zero": np.array(0, np.int64), "one": np.array(1, np.int64)},
    ),
    "shape to the end": ([node("Shape", "x", start=-2)], {}),
    "reshape by a shape": (
        [
            node("Shape", "x", start=0, end=2, output="s"),
            node("Concat", "s", "two", "rest", axis=0, output="c"),
            node("Reshape", "x", "c"),
        ],
        {"two": integers(2), "rest": integers(4)},
    ),
    "expand": (
        [
            node("Shape", "x", start=1, end=2, output="s"),
            node("Concat", "one", "s", "one", axis=0, output="c"),
            node("ReduceSum", "x", "axes", keepdims=1, output="r"),
            node("Expand", "r", "c"),
        ],
        {"one": integers(1), "axes": integers(1)},
    ),
    "reduce sum": ([node("ReduceSum", "x", "axes", keepdims=0)], {"axes": integers(1)}),
    "reduce l2": ([node("ReduceL2", "x", "axes")], {"axes": integers(-1)}),
    "clip": ([node("Clip", "x", "low", "high")], {"low": np.float32(-0.5), "high": np.float32(0.5)}),
    "clip from below": ([node("Clip", "x", "low")], {"low": np.float32(-0.5)}),
    "attention": (
        [node("MultiHeadAttention", "x", "x", "x", domain="com.microsoft", num_heads=2)],
        {},
    ),
    "attention with a bias and a scale": (
        [
            node(
                "MultiHeadAttention",
                *("x", "x", "x", "", "", "bias"),
                domain="com.microsoft",
                num_heads=4,
                scale=0.3,
            )
        ],
        {"bias": np.broadcast_to(BIAS, (1, 1, 5, 5)).copy()},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_computes_what_onnxruntime_computes(name: str, tmp_path: Path) -> None:
    nodes, constants = CASES[name]
    proto = model(nodes, {key: np.asarray(array) for key, array in constants.items()})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"ids": IDS})
    answer = evaluated(proto, tmp_path)
    assert answer.shape == expected.shape
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("Erf", "x")], {}, "no translation: Erf"),
        ([node("LayerNormalization", "x", "g", axis=1)], {"g": floats(5, HIDDEN)}, "over the last axis"),
        ([node("Cast", "x", to=TensorProto.BFLOAT16)], {}, "does not have the type BFLOAT16"),
        ([node("ReduceSum", "x")], {}, "it names no axes"),
        (
            [node("Slice", "x", "starts", "ends", "axes", "steps")],
            {
                "starts": integers(-1),
                "ends": integers(-(2**31)),
                "axes": integers(1),
                "steps": integers(-1),
            },
            "its step is -1",
        ),
        (
            [node("MultiHeadAttention", "x", "x", "x", "b", domain="com.microsoft", num_heads=2)],
            {"b": floats(3 * HIDDEN)},
            "an attention bias at most",
        ),
        (
            [node("Reshape", "x", "flat", output="r"), node("Gemm", "r", "c", alpha=2.0)],
            {"flat": integers(-1, HIDDEN), "c": floats(HIDDEN, 3)},
            "alpha and beta must be 1",
        ),
    ],
)
def test_what_has_no_translation_is_refused(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Array], message: str, tmp_path: Path
) -> None:
    with pytest.raises(StageError, match=message):
        evaluated(model(nodes, constants), tmp_path)
