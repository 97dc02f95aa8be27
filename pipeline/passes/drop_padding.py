"""Computing real tokens only: padding is dropped between attentions, where each token is computed separately."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir

from pipeline.graph.builder import Insertion, Size, replace
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, dtype_of, is_operator, node_of, shape_of, sole_reader
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.matching.token_rows import KEPT, LABEL, SLOTS, TokenRows
from pipeline.passes.refusal import RefusalError

_MASK = "attention_mask"
_HEADS_FIRST = (0, 2, 1, 3)
"""How attention transposes (batch, tokens, heads, channels), and its context back again."""
# Operators that compute each element from the elements at the same place, and that broadcast
_BY_ELEMENT = ("Add", "Sub", "Mul", "Div", "Cast", "DequantizeLinear")
_ROWS_OF_HEADS = onnx_ir.SymbolicDim("rows_of_heads")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    """The part of a graph that computes each token separately, as rows of two axes."""

    mask: onnx_ir.Value
    """Nonzero for real tokens, (batch, tokens)."""

    entries: tuple[onnx_ir.Node, ...]
    """The reshapes to rows: of the embeddings' sum, and of the result of each attention."""

    leaves: tuple[onnx_ir.Node, ...]
    """The reshapes of rows back to (batch, tokens, ...)."""

    values: tuple[onnx_ir.Value, ...]
    """Everything with a row for each token, in the order of the graph."""


@graph_pass(
    "drop_padding",
    after=("flatten_tokens", "integer_matmul", "mask_where_needed", "constants"),
    per_layer=1,
)
def drop_padding(graph: Graph) -> PassResult:
    """Linear layers, layer norms and GELU compute real tokens only; attention reads and writes them by index.

    Kept are all tokens that are not masked, the first token of every text, which heads read, and every token of a text
    that is masked throughout. A masked token that is not kept gets the row of its text's first token: attention leaves
    it out, and nobody reads it in the outputs. Counts the places where padding is dropped.
    """
    try:
        region = _region(graph)
    except RefusalError as refusal:
        place = "graph" if refusal.value is None else refusal.value.name
        return PassResult(rewrites=0, refusals=(f"{place}: {refusal}",))
    rows = TokenRows(graph, region.mask)
    kept = set(region.values)
    for leaf in region.leaves:
        kept -= set(_leave(graph, rows, leaf, kept))
    for entry in region.entries:
        _enter(graph, rows, entry)
    for value in kept:
        value.shape = onnx_ir.Shape([KEPT, *shape_of(value)[1:]])
    tidy(graph)
    return PassResult(rewrites=len(region.entries))


def _region(graph: Graph) -> _Region:
    """What is rewritten; RefusalError, with its place, where padding may not be dropped."""
    mask = _mask(graph)
    tokens = tuple(shape_of(mask))
    entries = tuple(node for node in graph.graph if _makes_rows(node, tokens))
    if not entries:
        raise RefusalError("no hidden states have two axes; apply flatten_tokens before")
    values: dict[onnx_ir.Value, None] = dict.fromkeys(entry.outputs[0] for entry in entries)
    leaves: list[onnx_ir.Node] = []
    for node in graph.graph:
        if node in entries or not any(value in values for value in node.inputs):
            continue
        if is_operator(node, "Reshape") and _begins_with(node.outputs[0], tokens):
            leaves.append(node)
            continue
        # The name of this axis is that of all tokens, so nothing but a row for each token has it
        row_axis = shape_of(entries[0].outputs[0])[0]
        for output in node.outputs:
            if output.shape is None or len(output.shape) != 2 or output.shape[0] != row_axis:
                raise RefusalError(f"{node.op_type} does not compute each token separately", output)
            values[output] = None
    _check_readers(graph, values)
    for entry in entries:
        _check_mask(entry, mask, values)
    return _Region(mask=mask, entries=entries, leaves=tuple(leaves), values=tuple(values))


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
    return len(channels) == len(known) > 0 and sizes.tolist() == [-1, int(np.prod(known))]


def _begins_with(value: onnx_ir.Value, tokens: tuple[Size, ...]) -> bool:
    return value.shape is not None and tuple(value.shape[:2]) == tokens and len(value.shape) > 2


def _check_readers(graph: Graph, values: dict[onnx_ir.Value, None]) -> None:
    """Raise RefusalError where a branch reads one of `values`, or where the graph gives one out."""
    for value in values:
        if value.is_graph_output() or any(use.node.graph is not graph.graph for use in value.uses()):
            raise RefusalError("a branch or an output of the graph reads rows of all tokens", value)


def _check_mask(entry: onnx_ir.Node, mask: onnx_ir.Value, values: dict[onnx_ir.Value, None]) -> None:
    """Raise RefusalError where other tokens enter into what `entry` reads without a mask."""
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


def _read_by(node: onnx_ir.Node) -> Iterator[onnx_ir.Value]:
    """All values that `node` and its branches read."""
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == onnx_ir.AttributeType.GRAPH:
            for inner in attribute.as_graph():
                yield from _read_by(inner)


def _leave(
    graph: Graph, rows: TokenRows, leaf: onnx_ir.Node, kept: set[onnx_ir.Value]
) -> Sequence[onnx_ir.Value]:
    """Let every reader of `leaf` read rows by index; the values that have a row for each slot from here on."""
    value, output = leaf.inputs[0], leaf.outputs[0]
    assert value is not None
    if output.is_graph_output():
        wide = _wide_values(value, kept)
        if wide:
            _put_back_before(graph, rows, wide, kept)
            return wide
    at = Insertion.before(graph, leaf, dtype=dtype_of(output))
    if len(shape_of(output)) == 3:
        _leave_to_tokens(graph, rows, leaf, at)
    else:
        _leave_to_heads(graph, rows, leaf, at)
    return ()


def _leave_to_tokens(graph: Graph, rows: TokenRows, leaf: onnx_ir.Node, at: Insertion) -> None:
    """Gather (batch, tokens, channels), or for readers of the first token only those."""
    value, output = leaf.inputs[0], leaf.outputs[0]
    for reader in [use.node for use in output.uses()]:
        if not _takes_first_token(reader):
            continue
        index = rows.first
        if len(shape_of(reader.outputs[0])) == 2:
            batch = shape_of(output)[:1]
            index = at.add(
                "Reshape", [index, at.sizes(-1)], label=LABEL, shape=batch, dtype=onnx_ir.DataType.INT64
            )
        replace(
            graph,
            reader,
            at.add("Gather", [value, index], label=LABEL, shape=shape_of(reader.outputs[0])),
        )
    if output.uses() or output.is_graph_output():
        replace(graph, leaf, at.add("Gather", [value, rows.slots], label=LABEL, shape=shape_of(output)))


def _leave_to_heads(graph: Graph, rows: TokenRows, leaf: onnx_ir.Node, at: Insertion) -> None:
    """Gather (batch, heads, tokens, channels), where a transpose makes it, or ahead of the reshape to heads."""
    value, output = leaf.inputs[0], leaf.outputs[0]
    assert value is not None
    batch, tokens, heads, channels = shape_of(output)
    transpose = sole_reader(output)
    if transpose is not None and _swaps_heads(transpose):
        assert isinstance(heads, int)
        assert isinstance(channels, int)
        single = at.add(
            "Reshape", [value, at.sizes(-1, channels)], label=LABEL, shape=[_ROWS_OF_HEADS, channels]
        )
        shape = [batch, heads, tokens, channels]
        replace(graph, transpose, at.add("Gather", [single, rows.in_heads(heads)], label=LABEL, shape=shape))
        return
    shape = [batch, tokens, shape_of(value)[1]]
    leaf.replace_input_with(0, at.add("Gather", [value, rows.slots], label=LABEL, shape=shape))


def _wide_values(value: onnx_ir.Value, kept: set[onnx_ir.Value]) -> list[onnx_ir.Value]:
    """`value`, an output's rows, and those that it is computed from, as far as a row of the next has fewer bytes.

    Copying the rows of a vocabulary's logits costs more than computing them for padding saves.
    """
    chain = [value]
    while True:
        read = [source for source in node_of(chain[-1]).inputs if source in kept]
        if len(read) != 1 or read[0] is None or sole_reader(read[0]) is None:
            break
        chain.append(read[0])
    narrowest = min(range(len(chain)), key=lambda place: _row_bytes(chain[place]))
    return chain[:narrowest]


def _put_back_before(
    graph: Graph, rows: TokenRows, wide: Sequence[onnx_ir.Value], kept: set[onnx_ir.Value]
) -> None:
    """Let the first node of `wide` in the graph's order, which is the last in `wide`, read a row for each slot."""
    node = node_of(wide[-1])
    (index,) = (index for index, value in enumerate(node.inputs) if value in kept)
    read = node.inputs[index]
    assert read is not None
    at = Insertion.before(graph, node, dtype=dtype_of(read))
    shape = [SLOTS, *shape_of(read)[1:]]
    node.replace_input_with(index, at.add("Gather", [read, rows.flat_slots()], label=LABEL, shape=shape))


def _enter(graph: Graph, rows: TokenRows, entry: onnx_ir.Node) -> None:
    """Let `entry` give out the kept rows alone."""
    value, output = entry.inputs[0], entry.outputs[0]
    assert value is not None
    for use in value.uses():
        # Otherwise all tokens of `value` would be computed for their numbers alone
        if is_operator(use.node, "Shape") and use.node.attributes.get_int("end", 0) == 2:
            use.node.replace_input_with(0, rows.mask)
    at = Insertion.before(graph, entry, dtype=dtype_of(output))
    transpose = value.producer()
    if transpose is not None and _swaps_heads(transpose) and sole_reader(value) is not None:
        heads, channels = shape_of(value)[2:]
        assert isinstance(heads, int)
        single = at.add(
            "Reshape",
            [transpose.inputs[0], at.sizes(-1, channels)],
            label=LABEL,
            shape=[_ROWS_OF_HEADS, channels],
        )
        shape = [KEPT, heads, channels]
        kept = at.add("Gather", [single, rows.from_heads(heads)], label=LABEL, shape=shape)
        entry.replace_input_with(0, kept)
        return
    kept = _kept(at, rows, value)
    if len(shape_of(kept)) == 2:
        replace(graph, entry, kept)
    else:
        entry.replace_input_with(0, kept)


def _kept(at: Insertion, rows: TokenRows, value: onnx_ir.Value) -> onnx_ir.Value:
    """The kept rows of `value`, (batch or 1, tokens, ...), computed from the kept rows of what it is computed from."""
    shape = shape_of(value)[2:]
    node = value.producer()
    inputs: list[onnx_ir.Value | None] = [] if node is None else list(node.inputs)
    if node is not None and _looks_up(node):
        assert inputs[1] is not None
        inputs[1] = _kept(at, rows, inputs[1])
    elif node is not None and is_operator(node, *_BY_ELEMENT):
        inputs = [
            read if read is None or not _has_tokens(read, value) else _kept(at, rows, read) for read in inputs
        ]
    else:
        flat = at.add(
            "Reshape",
            [value, at.sizes(-1, *shape)],
            label=LABEL,
            shape=[SLOTS, *shape],
            dtype=dtype_of(value),
        )
        # Values of one text hold for all texts
        index = rows.positions if shape_of(value)[0] == 1 else rows.kept
        return at.add("Gather", [flat, index], label=LABEL, shape=[KEPT, *shape], dtype=dtype_of(value))
    return at.add(
        node.op_type,
        inputs,
        label=LABEL,
        shape=[KEPT, *shape],
        dtype=dtype_of(value),
        attributes={name: attribute.value for name, attribute in node.attributes.items()},
    )


def _has_tokens(read: onnx_ir.Value, value: onnx_ir.Value) -> bool:
    """Whether `read` has the tokens of `value`; what has fewer axes, or one position, is the same for each token."""
    return (
        read.shape is not None
        and len(read.shape) == len(shape_of(value))
        and read.shape[1] == shape_of(value)[1]
    )


def _looks_up(node: onnx_ir.Node) -> bool:
    """Whether `node` takes a row of a stored table for each token."""
    return (
        is_operator(node, "Gather")
        and node.attributes.get_int("axis", 0) == 0
        and array_of(node.inputs[0]) is not None
    )


def _takes_first_token(node: onnx_ir.Node) -> bool:
    index = array_of(node.inputs[1]) if is_operator(node, "Gather") else None
    return (
        index is not None and node.attributes.get_int("axis", 0) == 1 and index.size == 1 and not index.any()
    )


def _swaps_heads(node: onnx_ir.Node) -> bool:
    return is_operator(node, "Transpose") and tuple(node.attributes.get_ints("perm", ())) == _HEADS_FIRST


def _row_bytes(value: onnx_ir.Value) -> float:
    channels = shape_of(value)[1]
    assert isinstance(channels, int)
    return channels * dtype_of(value).itemsize
