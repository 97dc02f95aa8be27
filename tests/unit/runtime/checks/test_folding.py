"""What an engine computes from the constants of a graph while it loads it has a limit, and a graph has no loop."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from distilforge import ReleaseError
from distilforge.checks import folding
from distilforge.manifest import Variant
from distilforge.onnxruntime import engine
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

NAME = "model.onnx"
VARIANT = Variant(target="onnxruntime-cpu", precision="fp32", files=(NAME,))
OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
LARGE = 1 << 17


def weight(name: str, values: object, dtype: type = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


WEIGHTS = (
    weight("large", [LARGE, LARGE]),
    weight("minus", -1),
    weight("zero", 0),
    weight("one", 1),
    weight("many", LARGE * LARGE),
    weight("pads", [0, LARGE * LARGE]),
    weight("row", np.zeros((1, LARGE)), np.int8),
    weight("column", np.zeros((LARGE, 1)), np.int8),
    weight("vector", [1.0], np.float32),
    weight("bounds", [0, 1], np.float32),
    weight("zeros", np.zeros(LARGE >> 3)),
    weight("few", [2, 3]),
    weight("moved", [0, LARGE, 0, 0]),
    weight("swapped", [1, 0]),
    weight("axis", [1]),
    weight("zero_float", 0, np.float32),
    weight("rows", np.zeros((0, LARGE * LARGE)), np.float32),
    weight("true", True, np.bool_),
)


def node(operator: str, *inputs: str, output: str = "big", **attributes: object) -> NodeProto:
    name = f"the {operator}" if output == "big" else output
    return helper.make_node(operator, inputs, [output], name=name, **attributes)


def graph(nodes: Sequence[NodeProto], *, weights: Sequence[TensorProto] = WEIGHTS) -> GraphProto:
    """A graph that doubles its input x, and has `nodes` besides."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["size"]) for name in "xy")
    return helper.make_graph([*nodes, helper.make_node("Add", ["x", "x"], ["y"])], "g", [x], [y], weights)


def write(folder: Path, model: ModelProto) -> Path:
    path = folder / NAME
    path.write_bytes(model.SerializeToString())
    return path


def model(*nodes: NodeProto, **rest: object) -> ModelProto:
    return helper.make_model(graph(nodes), opset_imports=OPSETS, ir_version=10, **rest)


def expanded(shape: str) -> ModelProto:
    """A value expanded to the sizes in `shape`, of which -1 keeps one, as PyTorch's first exporter writes it."""
    return model(
        node("Shape", shape, output="rank"),
        node("ConstantOfShape", "rank", output="ones", value=weight("", [1])),
        node("Mul", "ones", "minus", output="minuses"),
        node("Equal", shape, "minuses", output="kept"),
        node("Where", "kept", "ones", shape, output="sizes"),
        node("Expand", "vector", "sizes"),
    )


def branches(*nodes: NodeProto) -> NodeProto:
    """An If on a constant, both of whose branches are `nodes`."""
    output = helper.make_tensor_value_info("big", TensorProto.FLOAT, None)
    branch = helper.make_graph(nodes, "branch", [], [output])
    return helper.make_node("If", ["true"], ["chosen"], then_branch=branch, else_branch=branch)


def sparse(size: int = LARGE) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(weight("sparse", [1.0], np.float32), weight("places", [0]), [size, size])


def with_sparse_weight(size: int = LARGE) -> ModelProto:
    found = model()
    found.graph.sparse_initializer.append(sparse(size))
    return found


def doubled(times: int) -> list[NodeProto]:
    names = ["large", *(f"v{place}" for place in range(times))]
    return [node("Concat", a, a, output=b, axis=0) for a, b in pairwise(names)]


def own_function() -> ModelProto:
    body = [node("ConstantOfShape", "shape", output="filled")]
    function = helper.make_function("own", "Fill", ["shape"], ["filled"], body, OPSETS[:1])
    return model(helper.make_node("Fill", ["large"], ["big"], domain="own"), functions=[function])


def loop() -> NodeProto:
    values = [
        helper.make_tensor_value_info(*value)
        for value in (
            ("i", TensorProto.INT64, []),
            ("go", TensorProto.BOOL, []),
            ("on", TensorProto.BOOL, []),
        )
    ]
    body = helper.make_graph([node("Identity", "go", output="on")], "body", values[:2], values[2:])
    return helper.make_node("Loop", ["", "true"], [], name="the Loop", body=body)


def two_values(**attribute: object) -> ModelProto:
    """A Constant of one attribute with a second, small value, which other readers take."""
    constant = node("Constant", output="shape", **attribute)
    constant.attribute[0].t.CopyFrom(weight("", [1]))
    return model(constant, node("ConstantOfShape", "shape"))


def of_another_type() -> ModelProto:
    found = model(node("Constant", value=weight("", [1]), output="shape"), node("ConstantOfShape", "shape"))
    found.graph.node[0].attribute[0].type = onnx.AttributeProto.FLOAT
    return found


def passed(**given: object) -> ModelProto:
    """A function whose constant is an attribute that its call gives."""
    (name,) = given
    constant = helper.make_node("Constant", [], ["c"])
    kind = helper.make_attribute(name, given[name]).type
    constant.attribute.append(onnx.AttributeProto(name=name, ref_attr_name="given", type=kind))
    body = [constant, *(node("MatMul", a, a, output=b) for a, b in pairwise("cde"))]
    function = helper.make_function("own", "Give", [], ["e"], body, OPSETS[:1], ["given"])
    return model(helper.make_node("Give", [], ["big"], domain="own", given=given[name]), functions=[function])


def greedy_search() -> NodeProto:
    decoder = graph([node("ConstantOfShape", "large")], weights=())
    return helper.make_node(
        "GreedySearch", ["x"], ["big"], name="the GreedySearch", domain="com.microsoft", decoder=decoder
    )


def stored_twice() -> ModelProto:
    found = model()
    found.graph.initializer.append(weight("large", [1, 1]))
    return found


MANY = r"its constants compute more than 6[789],\d\d\d,\d\d\d values, the limit for its size; the "
HOSTILE = pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (with_sparse_weight(), MANY + r"sparse weight 'sparse' goes beyond"),
        (model(node("Constant", sparse_value=sparse())), MANY + r"node 'the Constant' \(Constant\)"),
        (model(node("ConstantOfShape", "large")), MANY + r"node 'the ConstantOfShape' \(ConstantOfShape\)"),
        (model(node("Expand", "one", "large")), MANY),
        (expanded("large"), MANY),
        (model(node("Tile", "row", "large")), MANY),
        (model(node("Range", "zero", "many", "one")), MANY),
        (model(node("Pad", "vector", "pads")), MANY),
        (model(node("OneHot", "large", "many", "bounds")), MANY),
        (model(node("Add", "row", "column")), MANY),
        (model(node("Mul", "row", "column")), MANY),
        (model(node("MatMulInteger", "column", "row")), MANY),
        (model(node("Gather", "row", "zeros", axis=0)), MANY),
        (model(node("ReduceSum", "rows", "zero", keepdims=0)), MANY),
        (model(*doubled(30)), MANY),
        (
            model(
                node("Cast", "minus", output="huge", to=TensorProto.UINT32),
                node("Cast", "huge", output="signed", to=TensorProto.INT64),
                node("Unsqueeze", "signed", "zero", output="shape"),
                node("ConstantOfShape", "shape"),
            ),
            MANY,
        ),
        (model(node("Shape", "row", output="shape"), node("Mul", "shape", "large", output="more"),
               node("ConstantOfShape", "more")), MANY),
        (model(branches(node("ConstantOfShape", "large"))), MANY),
        (model(branches(branches(node("ConstantOfShape", "large")), node("Identity", "zero"))), MANY),
        (own_function(), MANY),
        (model(node("Pad", "row", "moved", "", "swapped")), MANY),
        (passed(value=weight("", np.zeros((32, 32)), np.int8)), MANY),
        (passed(sparse_value=sparse()), r"the node '' \(Give\) passes a sparse constant to a function"),
        (two_values(value_ints=[LARGE, LARGE]), "an attribute in it has two values"),
        (two_values(sparse_value=sparse()), "an attribute in it has two values"),
        (of_another_type(), "an attribute in it has a value of another type than it says"),
        (model(greedy_search()), r"the node 'the GreedySearch' \(GreedySearch\) has a graph in it, which only"),
        (stored_twice(), "it has two weights of the name 'large'"),
        (
            model(node("Constant", value_ints=[1, 1], output="large"), node("ConstantOfShape", "large")),
            r"the node 'large' \(Constant\) gives 'large', which is there before it",
        ),
        (
            model(node("Resize", "row", "", "", "large")),
            r"the node 'the Resize' \(Resize\) computes a result of unknown size from constants alone",
        ),
        (model(loop()), r"the node 'the Loop' \(Loop\) is a loop, which may run without end"),
        (model(branches(loop(), node("Identity", "zero"))), r"the node 'the Loop' \(Loop\) is a loop"),
        (
            model(node("Identity", "later"), node("ConstantOfShape", "large", output="later")),
            r"the node 'the Identity' \(Identity\) reads 'later', which is nowhere before it",
        ),
    ],
)  # fmt: skip


@HOSTILE
def test_a_graph_that_an_engine_must_not_load(tmp_path: Path, hostile: ModelProto, message: str) -> None:
    path = write(tmp_path, hostile)
    with pytest.raises(ValueError, match=message):
        folding.check(path, path.stat().st_size)
    with pytest.raises(ReleaseError, match=rf"'model\.onnx' is not read, because .*: {message}"):
        engine.new_session(VARIANT, tmp_path, engine.new_options(1), (engine.CPU,))


def test_messages_that_readers_merge(tmp_path: Path) -> None:
    more = ModelProto(graph=GraphProto(initializer=[weight("later", [LARGE, LARGE])]))
    path = tmp_path / NAME
    path.write_bytes(model().SerializeToString() + more.SerializeToString())
    with pytest.raises(ValueError, match="it has two graphs"):
        folding.check(path, path.stat().st_size)


def test_names_that_differ_in_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Both would read as the same replacement characters."""
    found = model(node("ConstantOfShape", "large")).SerializeToString()
    path = tmp_path / NAME
    path.write_bytes(found.replace(b"large", b"larg\xfe").replace(b"minus", b"larg\xff"))
    with pytest.raises(ReleaseError, match=r"the name b'larg\\xfe' in it is not UTF-8"):
        engine.new_session(VARIANT, tmp_path, engine.new_options(1), (engine.CPU,))


@pytest.mark.parametrize(
    "harmless",
    [
        with_sparse_weight(4),
        model(node("ConstantOfShape", "few")),
        model(node("Expand", "vector", "few")),
        expanded("few"),
        model(node("Gather", "column", "few", axis=0), node("Gather", "row", "few", output="other", axis=1)),
        model(*doubled(4)),
        model(node("Shape", "row", output="shape"), node("ConstantOfShape", "shape")),
        model(node("Shape", "x", output="shape"), node("ConstantOfShape", "shape")),
        model(branches(node("ConstantOfShape", "few"))),
        model(node("Constant", value_ints=[3, 4], output="shape"), node("ConstantOfShape", "shape")),
        model(node("Pad", "vector", "few", "zero_float")),
        passed(value=weight("", [[2.0]], np.float32)),
    ],
)
def test_a_graph_that_an_engine_loads(tmp_path: Path, harmless: ModelProto) -> None:
    write(tmp_path, harmless)
    session = engine.new_session(VARIANT, tmp_path, engine.new_options(1), (engine.CPU,))
    (doubled_input,) = session.run(["y"], {"x": np.array([1.5], np.float32)})
    assert doubled_input.tolist() == [3.0]


def test_a_function_that_stands_for_a_standard_operator(tmp_path: Path) -> None:
    """An engine might run the operator, and the function say that it is small."""
    body = [node("Identity", "shape", output="filled")]
    function = helper.make_function("", "ConstantOfShape", ["shape"], ["filled"], body, OPSETS[:1])
    path = write(tmp_path, model(node("ConstantOfShape", "large"), functions=[function]))
    with pytest.raises(ValueError, match="a function of it defines the operator 'ConstantOfShape' again"):
        folding.check(path, 0)


def test_weights_may_be_dequantized_and_transposed(tmp_path: Path) -> None:
    """The limit grows with the file, here with a vocabulary that is larger than a DistilBERT's."""
    matrix = numpy_helper.from_array(np.zeros((LARGE, 1024), np.int8), "w")
    nodes = [
        node("DequantizeLinear", "w", "scale", output="f"),
        node("Transpose", "f", output="t", perm=[1, 0]),
    ]
    weights = (matrix, weight("scale", 1, np.float32))
    path = write(tmp_path, helper.make_model(graph(nodes, weights=weights), opset_imports=OPSETS))
    folding.check(path, path.stat().st_size)
