"""What the rules of a check read of a model, and the problems that they report. No compiler is needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import onnx

from pipeline.engines.compiler import EngineCompiler
from pipeline.graph.names import module_of

Kind = Literal["refused", "wrong", "note"]
"""No engine can be built; an engine would compute something else than the graph says; good to know."""

ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something in a model that prevents an engine or is good to know, and what to do about it."""

    kind: Kind
    """How serious it is."""
    problem: str
    """What is wrong."""
    module: str
    """The module of the node, by its Hugging Face name; the node's name where that names no module."""
    node: str
    """The name of the node, or of the tensor; "" for the whole model."""
    operator: str
    """The node's operator."""
    advice: str
    """What to do about it."""
    value: str = ""
    """The offending value; "" where there is none."""
    parser: str = ""
    """The message of the compiler's own parser; "" if it did not report this problem."""
    settled_by_parser: bool = False
    """Whether it stops being a problem if the parser accepts the graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A model and what the rules look up in it."""

    model: onnx.ModelProto
    """The model, without the content of its weights."""
    compiler: EngineCompiler
    """The compiler that the model is checked for."""
    nodes: tuple[tuple[str, onnx.NodeProto], ...]
    """Every node with its name, those of branches and functions too."""
    types: Mapping[str, int]
    """The element types of values, as far as ONNX can infer them."""
    constants: Mapping[str, onnx.TensorProto]
    """The weights and constants by name."""

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators; 0 where the model does not import them."""
        return next((opset.version for opset in self.model.opset_import if opset.domain in ONNX_DOMAINS), 0)

    def problem(
        self,
        kind: Kind,
        text: str,
        advice: str,
        *,
        node: tuple[str, onnx.NodeProto],
        value: str = "",
        settled_by_parser: bool = False,
    ) -> Problem:
        """A problem of `node`, which is a name and a node; the other arguments are fields of Problem."""
        name, proto = node
        return Problem(
            kind=kind,
            problem=text,
            module=module_of(name),
            node=name,
            operator=operator_of(proto),
            advice=advice,
            value=value,
            settled_by_parser=settled_by_parser,
        )


def inspect_model(model: onnx.ModelProto, compiler: EngineCompiler) -> Inspection:
    """Read what the rules need from `model`, whose external data may be absent.

    Removes the content of large weights from `model`: the rules only need sizes, axes and zero points.
    """
    nodes = tuple(_nodes(model))
    for graph in graphs(model):
        for tensor in graph.initializer:
            _drop_content(tensor)
    constants = {tensor.name: tensor for graph in graphs(model) for tensor in graph.initializer}
    for _, node in nodes:
        value = next((entry.t for entry in node.attribute if entry.name == "value"), None)
        if node.op_type == "Constant" and node.output and value is not None:
            constants[node.output[0]] = value
    return Inspection(
        model=model, compiler=compiler, nodes=nodes, types=_types(model, constants), constants=constants
    )


def operator_of(node: onnx.NodeProto) -> str:
    """`<domain>.<operator>`, or `<operator>` for ONNX's own."""
    return node.op_type if node.domain in ONNX_DOMAINS else f"{node.domain}.{node.op_type}"


def type_name(element: int) -> str:
    """ONNX's name of an element type, in lower case."""
    return str(onnx.TensorProto.DataType.Name(element)).lower()


def is_here(tensor: onnx.TensorProto) -> bool:
    """Whether the tensor has its content: large weights lost it, and external data is elsewhere."""
    return tensor.data_location != onnx.TensorProto.EXTERNAL and tensor.ByteSize() <= _LARGEST_KEPT_BYTES


# More than the largest zero points take, which have one value per channel
_LARGEST_KEPT_BYTES = 1 << 16
_CONTENT = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def _drop_content(tensor: onnx.TensorProto) -> None:
    if tensor.ByteSize() > _LARGEST_KEPT_BYTES:
        for field in _CONTENT:
            tensor.ClearField(field)


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The model's graph and the graphs of all branches in it and in its functions."""
    yield model.graph
    pending: list[onnx.GraphProto | onnx.FunctionProto] = [model.graph, *model.functions]
    while pending:
        for node in pending.pop().node:
            for branch in _branches(node):
                yield branch
                pending.append(branch)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The weights and constants of the model, in every graph and function."""
    for graph in graphs(model):
        yield from graph.initializer
    for _, node in _nodes(model):
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors


def _branches(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _nodes(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.NodeProto]]:
    """Every node with its name, or with its position where it has no name."""
    for owner in (*graphs(model), *model.functions):
        for place, node in enumerate(owner.node):
            yield node.name or f"#{place}", node


def _types(model: onnx.ModelProto, constants: Mapping[str, onnx.TensorProto]) -> dict[str, int]:
    """The element types that ONNX's shape inference can tell without the content of the weights."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError):
        # The declared types remain; the parser says what is wrong with the graph
        inferred = model
    types = {name: tensor.data_type for name, tensor in constants.items()}
    for graph in graphs(inferred):
        for value in (*graph.input, *graph.value_info, *graph.output):
            if value.type.HasField("tensor_type") and value.type.tensor_type.elem_type:
                types[value.name] = value.type.tensor_type.elem_type
    return types
