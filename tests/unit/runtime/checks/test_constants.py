"""What is said of a constant is never less than what ONNX Runtime computes."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from distilforge.checks import constants
from onnx import TensorProto, helper, numpy_helper

SMALL = np.array([2, -3], np.int64)
MATRIX = np.arange(6, dtype=np.int64).reshape(2, 3)
ROW = np.array([[-1, 4]], np.int64)
COLUMN = np.array([[5], [-7]], np.int64)
FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)
ONE, TWO = np.array(1, np.int64), np.array(2, np.int64)
ONES = np.array([1], np.int64)
SHAPE = np.array([3, 2, 2], np.int64)
Arrays = Sequence[np.ndarray]

CASES: list[tuple[str, Arrays, dict[str, object]]] = [
    ("Abs", [SMALL], {}),
    ("Neg", [SMALL], {}),
    ("Identity", [MATRIX], {}),
    ("Cast", [SMALL], {"to": TensorProto.INT32}),
    ("Cast", [SMALL], {"to": TensorProto.UINT32}),
    ("Cast", [SMALL], {"to": TensorProto.FLOAT}),
    ("Reshape", [MATRIX, np.array([-1], np.int64)], {}),
    ("Unsqueeze", [SMALL, ONE], {}),
    ("Squeeze", [COLUMN], {}),
    ("Transpose", [MATRIX], {}),
    ("Slice", [SMALL, np.array([-1], np.int64), np.array([-9], np.int64), np.array([0], np.int64)], {}),
    ("Slice", [SHAPE, np.array([2], np.int64), np.array([-9], np.int64), np.array([0], np.int64), -ONES], {}),
    ("Add", [SMALL, SMALL], {}),
    ("Add", [ROW, COLUMN], {}),
    ("Sub", [SMALL, -ONE], {}),
    ("Mul", [ROW, COLUMN], {}),
    ("Mul", [SMALL, TWO], {}),
    ("Div", [SMALL, TWO], {}),
    ("Max", [MATRIX, ONE], {}),
    ("Max", [SMALL, -SMALL], {}),
    ("Max", [SMALL, TWO, np.array([9, 9], np.int64)], {}),
    ("Max", [SMALL], {}),
    ("Min", [SMALL, -SMALL], {}),
    ("Equal", [ROW, COLUMN], {}),
    ("Where", [np.array([[True], [False]]), ROW, ONE], {}),
    ("Where", [np.array([True, False]), SMALL, -SMALL], {}),
    ("Where", [np.array([[True], [False]]), SMALL, ONE], {}),
    ("MatMul", [COLUMN.astype(np.float32), ROW.astype(np.float32)], {}),
    ("Concat", [SMALL, SHAPE], {"axis": 0}),
    ("Concat", [MATRIX, MATRIX], {"axis": 1}),
    ("Gather", [SHAPE, np.array([[0, 0], [1, 2]], np.int64)], {}),
    ("Gather", [MATRIX, np.array([0, 1, 0], np.int64)], {"axis": 0}),
    ("Gather", [MATRIX, np.array([0, 1, 0, 2], np.int64)], {"axis": 1}),
    ("Shape", [MATRIX], {}),
    ("Shape", [MATRIX], {"start": 1}),
    ("Shape", [MATRIX], {"end": -1}),
    ("Size", [MATRIX], {}),
    ("ConstantOfShape", [SHAPE], {}),
    ("ConstantOfShape", [np.zeros(0, np.int64)], {}),
    ("ConstantOfShape", [SHAPE], {"value": numpy_helper.from_array(np.array([-7], np.int64))}),
    ("ConstantOfShape", [SHAPE], {"value": numpy_helper.from_array(np.array([-7], np.float32))}),
    ("Expand", [ROW, SHAPE], {}),
    ("Expand", [COLUMN, np.array([1, 4], np.int64)], {}),
    ("Tile", [MATRIX, np.array([2, 3], np.int64)], {}),
    ("Range", [np.array(-3, np.int64), np.array(4, np.int64), ONE], {}),
    ("Range", [np.array(4, np.int64), np.array(-3, np.int64), -TWO], {}),
    ("Pad", [FLOATS, np.array([1, 0, 2, 3], np.int64)], {}),
    ("OneHot", [MATRIX, np.array(9, np.int64), np.array([0, 1], np.float32)], {}),
    ("NonZero", [np.ones((2, 2), np.int64)], {}),
    ("ReduceSum", [np.zeros((0, 4), np.float32), np.array([0], np.int64)], {}),
    ("ReduceSum", [MATRIX, np.array([1], np.int64)], {"keepdims": 0}),
    ("Softmax", [FLOATS], {}),
    ("CumSum", [FLOATS, ONE], {}),
]


@pytest.mark.parametrize(("operator", "inputs", "attributes"), CASES, ids=[case[0] for case in CASES])
def test_the_bound_holds(operator: str, inputs: Arrays, attributes: dict[str, object]) -> None:
    computed = _computed(operator, inputs, attributes)
    known = [constants.tensor(memoryview(_tensor(array).SerializeToString()))[1] for array in inputs]
    node = helper.make_node(operator, [], [], **attributes)
    result = constants.result(
        operator, known, [memoryview(attribute.SerializeToString()) for attribute in node.attribute]
    )
    assert result is not None
    assert result.elements >= computed.size
    if result.shape is not None:
        assert len(result.shape) == computed.ndim
        assert all(most >= size for most, size in zip(result.shape, computed.shape, strict=True))
    if result.sizes is not None:
        assert computed.dtype in (np.int64, np.int32)
        assert len(result.sizes) >= computed.size
        largest = zip(
            sorted(result.sizes, reverse=True), sorted(abs(computed.ravel()), reverse=True), strict=False
        )
        assert all(most >= size for most, size in largest)
    # Near enough that what releases do is not refused
    assert result.elements <= 8 * max(computed.size, 8) or result.elements == constants.UNKNOWN


@pytest.mark.parametrize("values", [[], [5], [-1, 1 << 62], list(range(64))])
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.FLOAT])
def test_the_sizes_in_a_tensor(values: list[int], raw: bool, kind: int) -> None:
    content = np.array(values, helper.tensor_dtype_to_np_dtype(kind))
    tensor = helper.make_tensor(
        "w", kind, [len(values)], content.tobytes() if raw else content.tolist(), raw=raw
    )
    name, constant = constants.tensor(memoryview(tensor.SerializeToString()))
    assert name == "w"
    assert constant.elements == max(1, len(values))
    assert constant.sizes == (tuple(map(abs, values)) if kind == TensorProto.INT64 else None)


def test_a_shape_that_takes_long_to_read_is_refused() -> None:
    tensor = onnx.TensorProto(name="w", dims=[1] * 641, data_type=TensorProto.INT64)
    # The same shape in one field
    packed = b"\x0a\x81\x05" + b"\x01" * 641
    with pytest.raises(ValueError, match="a weight has a shape of more than 64 axes, the most that are read"):
        constants.tensor(memoryview(tensor.SerializeToString()))
    with pytest.raises(ValueError, match="a weight has a shape of 641 bytes; at most 64 axes are read"):
        constants.tensor(memoryview(packed))


@pytest.mark.parametrize(
    ("attribute", "elements", "sizes"),
    [
        ({"value_int": -3}, 1, (3,)),
        ({"value_ints": [4, -5]}, 2, (4, 5)),
        ({"value_float": 2.0}, None, None),
        ({"value": numpy_helper.from_array(MATRIX)}, 6, (0, 1, 2, 3, 4, 5)),
    ],
)
def test_the_value_of_a_node(
    attribute: dict[str, object], elements: int | None, sizes: tuple[int, ...] | None
) -> None:
    node = helper.make_node("Constant", [], ["c"], **attribute)
    constant, is_sparse = constants.of_attributes([memoryview(node.attribute[0].SerializeToString())], 1)
    assert not is_sparse
    assert constant.sizes == sizes
    assert elements is None or constant.elements == elements


def _tensor(array: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(array, "w")


def _computed(operator: str, inputs: Arrays, attributes: dict[str, object]) -> np.ndarray:
    """What ONNX Runtime computes."""
    weights = [numpy_helper.from_array(array, f"i{place}") for place, array in enumerate(inputs)]
    node = helper.make_node(operator, [weight.name for weight in weights], ["y"], **attributes)
    output = helper.make_empty_tensor_value_info("y")
    model = helper.make_model(
        helper.make_graph([node], "g", [], [output], weights),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (computed,) = session.run(None, {})
    return np.asarray(computed)
