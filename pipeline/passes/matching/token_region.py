"""The part of a graph that computes each token separately, on rows of two axes, and where attention interrupts it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import onnx_ir

from pipeline.graph.builder import Size
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator, shape_of
from pipeline.passes.refusal import RefusalError

_MASK = "attention_mask"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRegion:
    """The region, and where values enter and leave it."""

    mask: onnx_ir.Value
    """Nonzero for real tokens, (batch, tokens)."""

    entries: tuple[onnx_ir.Node, ...]
    """The reshapes to rows: of the embeddings' sum, and of the result of each attention."""

    leaves: tuple[onnx_ir.Node, ...]
    """The reshapes of rows back to (batch, tokens, ...)."""

    values: tuple[onnx_ir.Value, ...]
    """Everything with a row for each token, in the order of the graph."""

    weightings: tuple[onnx_ir.Node, ...]
    """What reads such rows together with rows that the mask alone gives, as a mean over the tokens of a text does."""


def token_region(graph: Graph) -> TokenRegion:
    """The region of `graph`; RefusalError, with its place, where there is none or tokens are combined in it."""
    mask = _mask(graph)
    tokens = tuple(shape_of(mask))
    if not any(_makes_rows(node, tokens) for node in graph.graph):
        raise RefusalError("no hidden states have two axes", before="flatten_tokens")
    entries: list[onnx_ir.Node] = []
    leaves: list[onnx_ir.Node] = []
    weightings: list[onnx_ir.Node] = []
    values: dict[onnx_ir.Value, None] = {}
    # What is computed from rows that the mask alone gives: padding has rows there too
    weighted: dict[onnx_ir.Value, None] = {}
    for node in graph.graph:
        reads_rows = any(value in values for value in node.inputs)
        if _makes_rows(node, tokens):
            if not _come_from_tokens(node, mask, values):
                weighted |= dict.fromkeys(node.outputs)
                continue
            entries.append(node)
        elif any(value in weighted for value in node.inputs):
            if reads_rows:
                weightings.append(node)
            weighted |= dict.fromkeys(node.outputs)
            continue
        elif not reads_rows:
            continue
        elif is_operator(node, "Reshape") and _begins_with(node.outputs[0], tokens):
            _check_sizes(node.outputs[0])
            leaves.append(node)
            continue
        row_axis = shape_of(entries[0].outputs[0])[0]
        for output in node.outputs:
            _check_rows(node, output, row_axis)
            values[output] = None
    for value in values:
        if value.is_graph_output() or any(use.node.graph is not graph.graph for use in value.uses()):
            raise RefusalError("a branch or an output of the graph reads rows of all tokens", value)
    if not entries:
        raise RefusalError("the mask enters into its rows ahead of attention", next(iter(weighted)))
    return TokenRegion(
        mask=mask,
        entries=tuple(entries),
        leaves=tuple(leaves),
        values=tuple(values),
        weightings=tuple(weightings),
    )


def _mask(graph: Graph) -> onnx_ir.Value:
    """The mask with two axes: the graph's input, or its reshape where texts have choices."""
    for given in graph.graph.inputs:
        if given.name != _MASK or given.dtype != onnx_ir.DataType.INT64:
            continue
        reshaped = (use.node.outputs[0] for use in given.uses() if is_operator(use.node, "Reshape"))
        for value in (given, *reshaped):
            if value.shape is not None and len(value.shape) == 2:
                return value
    raise RefusalError(f"there is no int64 input {_MASK} with the axes batch and tokens")


def _makes_rows(node: onnx_ir.Node, tokens: tuple[Size, ...]) -> bool:
    """Whether `node` reshapes (batch, tokens, ...) to a row for each token."""
    value = node.inputs[0] if is_operator(node, "Reshape") else None
    sizes = None if value is None else array_of(node.inputs[1])
    if value is None or sizes is None or not _begins_with(value, tokens):
        return False
    channels = shape_of(value)[2:]
    known = [size for size in channels if isinstance(size, int)]
    return len(channels) == len(known) > 0 and sizes.tolist() == [-1, prod(known)]


def _begins_with(value: onnx_ir.Value, tokens: tuple[Size, ...]) -> bool:
    return value.shape is not None and tuple(value.shape[:2]) == tokens and len(value.shape) > 2


def _check_rows(node: onnx_ir.Node, output: onnx_ir.Value, row_axis: Size) -> None:
    """Raise RefusalError where `output` of `node` does not have a row for each token, and known channels."""
    shape = output.shape
    if shape is None or len(shape) != 2 or shape[0] != row_axis or output.dtype is None:
        raise RefusalError(f"{node.op_type} does not compute each token separately", output)
    _check_sizes(output)


def _check_sizes(value: onnx_ir.Value) -> None:
    """Raise RefusalError where an axis of `value` after the tokens' is not known, or where there are more than two."""
    sizes = shape_of(value)[1 if len(shape_of(value)) == 2 else 2 :]
    if len(sizes) not in (1, 2) or not all(isinstance(size, int) for size in sizes):
        raise RefusalError(f"its shape is {value.shape}, must end with known channels", value)


def _come_from_tokens(entry: onnx_ir.Node, mask: onnx_ir.Value, values: Mapping[onnx_ir.Value, None]) -> bool:
    """Whether `entry` makes rows of tokens, and not of the mask alone, such as a weight of 0 at padding.

    Raises RefusalError where other tokens enter into what it reads without a mask.
    """
    from_rows = False
    seen: set[onnx_ir.Value] = set()
    waiting = [value for value in entry.inputs[:1] if value is not None]
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        if value in values:
            from_rows = True
        elif (node := value.producer()) is not None and not is_operator(node, "Shape"):
            waiting += _read_by(node)
    if from_rows and mask not in seen:
        raise RefusalError("tokens are combined without the mask", entry.outputs[0])
    return from_rows or mask not in seen


def _read_by(node: onnx_ir.Node) -> Iterator[onnx_ir.Value]:
    """All values that `node` and its branches read."""
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == onnx_ir.AttributeType.GRAPH:
            for inner in attribute.as_graph():
                yield from _read_by(inner)
