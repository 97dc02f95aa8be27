"""A model as the pre-flight's rules look at it, and the problems that they find. No toolkit is needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import onnx

from pipeline.engines.flavours import Flavour
from pipeline.graph.names import module_of

Kind = Literal["refused", "wrong", "note"]
"""No engine can be built; an engine would answer something else than the graph says; worth knowing."""

ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that stands in the way, or is worth knowing, and what to do about it.

    module: by its Hugging Face name where the node has one. found: the offending value, where there is one. parser: the
    words of the toolkit's own parser. settled_by_parser: where that takes the graph, it knows better.
    """

    kind: Kind
    problem: str
    module: str
    node: str
    operator: str
    advice: str
    found: str = ""
    parser: str = ""
    settled_by_parser: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A model as the rules look at it: every node, those of branches too, and the type of every value that is known."""

    model: onnx.ModelProto
    flavour: Flavour
    nodes: tuple[tuple[str, onnx.NodeProto], ...]
    types: Mapping[str, int]
    constants: Mapping[str, onnx.TensorProto]

    @property
    def opset(self) -> int:
        return next((each.version for each in self.model.opset_import if each.domain in ONNX_DOMAINS), 0)

    def problem(
        self,
        kind: Kind,
        text: str,
        advice: str,
        *,
        node: tuple[str, onnx.NodeProto],
        found: str = "",
        settled_by_parser: bool = False,
    ) -> Problem:
        name, proto = node
        return Problem(
            kind=kind,
            problem=text,
            module=module_of(name),
            node=name,
            operator=operator_of(proto),
            advice=advice,
            found=found,
            settled_by_parser=settled_by_parser,
        )


def look(model: onnx.ModelProto, flavour: Flavour) -> Seen:
    """What the rules need of `model`, whose external data need not be there.

    The content of its weights is dropped from it: only sizes, axes and zero points are looked at.
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
    return Seen(
        model=model, flavour=flavour, nodes=nodes, types=_types(model, constants), constants=constants
    )


def operator_of(node: onnx.NodeProto) -> str:
    """`<domain>.<operator>`, without ONNX's own domain."""
    return node.op_type if node.domain in ONNX_DOMAINS else f"{node.domain}.{node.op_type}"


def type_name(element: int) -> str:
    """ONNX's name of an element type, in small letters."""
    return str(onnx.TensorProto.DataType.Name(element)).lower()


def is_here(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor's content was kept."""
    return tensor.data_location != onnx.TensorProto.EXTERNAL and tensor.ByteSize() <= _LARGEST_KEPT_BYTES


# The largest zero points, one a channel, are smaller
_LARGEST_KEPT_BYTES = 1 << 16
_CONTENT = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def _drop_content(tensor: onnx.TensorProto) -> None:
    if tensor.ByteSize() > _LARGEST_KEPT_BYTES:
        for field in _CONTENT:
            tensor.ClearField(field)


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The graph and those of its branches, however deep."""
    yield model.graph
    pending = [model.graph]
    while pending:
        for node in pending.pop().node:
            for branch in _branches(node):
                yield branch
                pending.append(branch)


def _branches(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _nodes(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.NodeProto]]:
    """Every node with its name, or its place where it has none."""
    for owner in (*graphs(model), *model.functions):
        for place, node in enumerate(owner.node):
            yield node.name or f"#{place}", node


def _types(model: onnx.ModelProto, constants: Mapping[str, onnx.TensorProto]) -> dict[str, int]:
    """The element type of every value that ONNX's shape inference can tell, without the weights' content."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        # A graph that cannot be inferred still has declared types; the parser says what is wrong with it
        inferred = model
    found = {name: tensor.data_type for name, tensor in constants.items()}
    for graph in graphs(inferred):
        for value in (*graph.input, *graph.value_info, *graph.output):
            if value.type.HasField("tensor_type") and value.type.tensor_type.elem_type:
                found[value.name] = value.type.tensor_type.elem_type
    return found
