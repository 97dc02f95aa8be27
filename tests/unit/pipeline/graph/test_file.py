"""What commands that read any ONNX file refuse."""

from pathlib import Path

import onnx_ir
import pytest
from onnx import FunctionProto, TensorProto, helper

from pipeline.engines.preflight.check import check
from pipeline.errors import UsageError
from pipeline.graph import file
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from tests.onnx_functions import HOSTILE, write


@HOSTILE
def test_functions_that_cannot_be_expanded(tmp_path: Path, own: list[FunctionProto], message: str) -> None:
    path = write(tmp_path, own)
    expected = rf"model\.onnx is not usable: {message}"
    with pytest.raises(UsageError, match=expected):
        file.load(path)
    with pytest.raises(UsageError, match=expected):
        check(path, TENSORRT_RTX)


def test_the_standard_domain_has_one_name(tmp_path: Path) -> None:
    value, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    node = helper.make_node("Identity", ["x"], ["y"], domain="ai.onnx")
    graph = helper.make_graph([node], "g", [value], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx", 17)])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    loaded = file.load(path)
    assert dict(loaded.opset_imports) == {"": 17}
    assert [node.domain for node in loaded.graph] == [""]


def model_with(folder: Path, tensor: TensorProto, place: str) -> Path:
    """A model with `tensor` as an initializer or as the value of a Constant, perhaps in a branch or a function."""
    value, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    branch = helper.make_graph([constant], "branch", [], [helper.make_empty_tensor_value_info("c")])
    choice = helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch)
    nodes, weights, functions = [helper.make_node("Identity", ["x"], ["y"])], [], []
    if place == "initializer":
        weights = [tensor]
    elif place == "constant":
        nodes.append(constant)
    elif place == "branch":
        nodes.append(choice)
    else:
        inside = choice if place == "branch of a function" else constant
        opset = helper.make_opsetid("", 20)
        functions = [helper.make_function("own", "f", ["x"], list(inside.output), [inside], [opset])]
    graph = helper.make_graph(nodes, "g", [value], [output], initializer=weights)
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph, functions=functions).SerializeToString())
    return path


@pytest.mark.parametrize("place", ["initializer", "constant", "branch", "function", "branch of a function"])
@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (TensorProto(name="w", dims=[10**9, 10**9], data_type=TensorProto.FLOAT), "0 values"),
        (TensorProto(name="w", dims=[2**62] * 20, data_type=TensorProto.FLOAT, raw_data=b"1"), "1 bytes"),
        (TensorProto(name="w", dims=[2**62] * 20, data_type=TensorProto.INT4, int32_data=[1]), "1 values"),
        (TensorProto(name="w", dims=[3], data_type=TensorProto.FLOAT, float_data=[1, 2]), "2 values"),
        (TensorProto(name="w", dims=[3], data_type=TensorProto.FLOAT, raw_data=b"1234567"), "7 bytes"),
        (TensorProto(name="w", dims=[3], data_type=TensorProto.INT4, raw_data=b"1"), "1 bytes"),
        (TensorProto(name="w", dims=[5], data_type=TensorProto.INT4, int32_data=[1, 2]), "2 values"),
        (TensorProto(name="w", dims=[-1, -1], data_type=TensorProto.INT8, raw_data=b"1"), "a negative size"),
        (TensorProto(name="w", dims=[1], raw_data=b"1"), "no type"),
    ],
    ids=[
        "nothing",
        "beyond floats",
        "packed beyond floats",
        "too few",
        "bytes",
        "half bytes",
        "packed",
        "negative",
        "no type",
    ],
)
def test_a_weight_that_does_not_fit_its_shape(
    tmp_path: Path, tensor: TensorProto, problem: str, place: str
) -> None:
    path = model_with(tmp_path, tensor, place)
    with pytest.raises(UsageError, match=rf"model\.onnx is not usable: the weight 'w' has {problem}"):
        file.load(path)
    with pytest.raises(UsageError, match=rf"model\.onnx is not usable: the weight 'w' has {problem}"):
        check(path, TENSORRT_RTX)


def test_a_weight_of_an_unknown_type(tmp_path: Path) -> None:
    path = model_with(tmp_path, TensorProto(name="w", dims=[1], data_type=99, raw_data=b"1"), "initializer")
    with pytest.raises(UsageError, match=r"model\.onnx is not a valid ONNX file: 99 is not"):
        file.load(path)
    with pytest.raises(
        UsageError, match=r"model\.onnx is not usable: the weight 'w' has the unknown type 99"
    ):
        check(path, TENSORRT_RTX)


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(name="w", dims=[0, 10**9], data_type=TensorProto.FLOAT),
        TensorProto(name="w", dims=[], data_type=TensorProto.FLOAT, float_data=[1]),
        TensorProto(name="w", dims=[2], data_type=TensorProto.COMPLEX64, float_data=[1, 2, 3, 4]),
        TensorProto(name="w", dims=[3], data_type=TensorProto.INT4, int32_data=[1, 2]),
        TensorProto(name="w", dims=[3], data_type=TensorProto.UINT4, raw_data=b"12"),
        TensorProto(name="w", dims=[2], data_type=TensorProto.FLOAT16, int32_data=[1, 2]),
        TensorProto(name="w", dims=[2], data_type=TensorProto.UINT32, uint64_data=[1, 2]),
        TensorProto(name="w", dims=[2], data_type=TensorProto.STRING, string_data=[b"a", b"b"]),
    ],
    ids=["empty", "scalar", "complex", "packed", "half bytes", "float16", "uint32", "texts"],
)
def test_a_weight_that_fits_its_shape(tmp_path: Path, tensor: TensorProto) -> None:
    graph = file.load(model_with(tmp_path, tensor, "initializer"))
    weight = graph.graph.initializers["w"].const_value
    assert isinstance(weight, onnx_ir.TensorProtocol)
    assert weight.numpy().shape == tuple(tensor.dims)


def test_a_graph_that_may_run_without_end(tmp_path: Path) -> None:
    """Calibration would run it."""
    value, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    more, again = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("more", "again"))
    inside = [helper.make_node("Identity", ["more"], ["again"]), helper.make_node("Add", ["s", "s"], ["t"])]
    step, state = (
        helper.make_tensor_value_info(*info) for info in (("n", TensorProto.INT64, []), ("s", 1, [1]))
    )
    body = helper.make_graph(
        inside, "body", [step, more, state], [again, helper.make_empty_tensor_value_info("t")]
    )
    loop = helper.make_node("Loop", ["", "", "x"], ["y"], body=body)
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(helper.make_graph([loop], "g", [value], [output])).SerializeToString())
    with pytest.raises(UsageError, match=r"may fill the memory or never end: the node '' \(Loop\) is a loop"):
        file.load(path)
