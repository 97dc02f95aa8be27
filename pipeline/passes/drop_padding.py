"""Computing real tokens only: padding is dropped between attentions, where each token is computed separately."""

from collections.abc import Container, Sequence

import onnx_ir

from pipeline.graph.builder import Insertion, Size, attributes_of, replace
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, dtype_of, is_operator, node_of, shape_of, sole_reader
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.matching.token_region import token_region
from pipeline.passes.matching.token_rows import KEPT, LABEL, SLOTS, TokenRows
from pipeline.passes.refusal import RefusalError

_HEADS_FIRST = (0, 2, 1, 3)
"""How attention transposes (batch, tokens, heads, channels), and its context back again."""
# Operators that compute each element from the elements at the same place, and that broadcast
_BY_ELEMENT = ("Add", "Sub", "Mul", "Div", "Cast", "DequantizeLinear")
_ROWS_OF_HEADS = onnx_ir.SymbolicDim("rows_of_heads")


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
        region = token_region(graph)
    except RefusalError as refusal:
        place = "graph" if refusal.value is None else refusal.value.name
        return PassResult(rewrites=0, refusals=(f"{place}: {refusal}",), before=refusal.before)
    rows = TokenRows(graph, region.mask)
    kept = set(region.values)
    for leaf in region.leaves:
        kept -= set(_leave(graph, rows, leaf, kept))
    for node in region.weightings:
        _put_back(graph, rows, node, kept)
    for entry in region.entries:
        _enter(graph, rows, entry)
    for value in kept:
        value.shape = onnx_ir.Shape([KEPT, *shape_of(value)[1:]])
    tidy(graph)
    return PassResult(rewrites=len(region.entries))


def _leave(
    graph: Graph, rows: TokenRows, leaf: onnx_ir.Node, kept: set[onnx_ir.Value]
) -> Sequence[onnx_ir.Value]:
    """Let every reader of `leaf` read rows by index; the values that have a row for each slot from here on."""
    value, output = leaf.inputs[0], leaf.outputs[0]
    assert value is not None
    if output.is_graph_output():
        wide = _wide_values(value, kept)
        if wide:
            # The first of them in the graph's order is the last in `wide`
            _put_back(graph, rows, node_of(wide[-1]), kept)
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
    batch, tokens = shape_of(output)[:2]
    heads, channels = _known(shape_of(output)[2:])
    transpose = sole_reader(output)
    if transpose is not None and _swaps_heads(transpose):
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


def _put_back(graph: Graph, rows: TokenRows, node: onnx_ir.Node, kept: Container[onnx_ir.Value]) -> None:
    """Let `node` read a row for each slot instead of each input that is in `kept`."""
    for index, read in enumerate(node.inputs):
        if read is None or read not in kept:
            continue
        at = Insertion.before(graph, node, dtype=dtype_of(read))
        shape = [SLOTS, *shape_of(read)[1:]]
        node.replace_input_with(index, at.add("Gather", [read, rows.flat_slots()], label=LABEL, shape=shape))


def _enter(graph: Graph, rows: TokenRows, entry: onnx_ir.Node) -> None:
    """Let `entry` give out the kept rows alone."""
    value, output = entry.inputs[0], entry.outputs[0]
    assert value is not None
    for use in tuple(value.uses()):
        # Otherwise all tokens of `value` would be computed for their numbers alone
        if is_operator(use.node, "Shape") and use.node.attributes.get_int("end", 0) == 2:
            use.node.replace_input_with(0, rows.mask)
    at = Insertion.before(graph, entry, dtype=dtype_of(output))
    transpose = value.producer()
    if transpose is not None and _swaps_heads(transpose) and sole_reader(value) is not None:
        heads, channels = _known(shape_of(value)[2:])
        single = at.add(
            "Reshape",
            [transpose.inputs[0], at.sizes(-1, channels)],
            label=LABEL,
            shape=[_ROWS_OF_HEADS, channels],
        )
        kept = at.add("Gather", [single, rows.from_heads(heads)], label=LABEL, shape=[KEPT, heads, channels])
        entry.replace_input_with(0, kept)
        return
    kept = _kept(at, rows, value)
    if len(shape_of(kept)) == 2:
        replace(graph, entry, kept)
    else:
        entry.replace_input_with(0, kept)


def _kept(at: Insertion, rows: TokenRows, value: onnx_ir.Value) -> onnx_ir.Value:
    """The kept rows of `value`, (batch or 1, tokens, ...), computed from the kept rows of what it is computed from."""
    shape = _known(shape_of(value)[2:])
    node = value.producer()
    inputs: list[onnx_ir.Value | None] = [] if node is None else list(node.inputs)
    if node is not None and _looks_up(node):
        by_token = [1]
    elif node is not None and _computes_each_token(node):
        by_token = [index for index, read in enumerate(inputs) if _rank(read) > 1]
    else:
        flat = at.add(
            "Reshape",
            [value, at.sizes(-1, *shape)],
            label=LABEL,
            shape=[SLOTS, *shape],
            dtype=dtype_of(value),
        )
        # Values of one text hold for all texts
        places = rows.positions if shape_of(value)[0] == 1 else rows.kept
        return at.add("Gather", [flat, places], label=LABEL, shape=[KEPT, *shape], dtype=dtype_of(value))
    for index in by_token:
        read = inputs[index]
        assert read is not None
        inputs[index] = _kept(at, rows, read)
    return at.add(
        node.op_type,
        inputs,
        label=LABEL,
        shape=[KEPT, *shape],
        dtype=dtype_of(value),
        attributes=attributes_of(node),
    )


def _looks_up(node: onnx_ir.Node) -> bool:
    """Whether `node` takes a row of a stored table for each token."""
    return (
        is_operator(node, "Gather")
        and node.attributes.get_int("axis", 0) == 0
        and array_of(node.inputs[0]) is not None
        and _rank(node.inputs[1]) == 2
    )


def _computes_each_token(node: onnx_ir.Node) -> bool:
    """Whether `node` computes each token from the same token of its inputs, and from what is the same for all."""
    if not is_operator(node, *_BY_ELEMENT):
        return False
    output = shape_of(node.outputs[0])
    return all(
        value is None
        or _rank(value) == 0
        # Numbers for each channel; for DequantizeLinear they would be along an axis by its number
        or (_rank(value) == 1 and node.op_type != "DequantizeLinear")
        or (_rank(value) == len(output) > 1 and _has_known_rows(value) and shape_of(value)[1] == output[1])
        for value in node.inputs
    )


def _has_known_rows(value: onnx_ir.Value) -> bool:
    """Whether the sizes behind the tokens' axis and the type are known."""
    return value.dtype is not None and all(isinstance(size, int) for size in shape_of(value)[2:])


def _known(sizes: Sequence[Size]) -> tuple[int, ...]:
    """`sizes`, for callers that know that all of them are numbers."""
    known = tuple(size for size in sizes if isinstance(size, int))
    assert len(known) == len(sizes), sizes
    return known


def _rank(value: onnx_ir.Value | None) -> int:
    """The number of axes; -1 where it is not known."""
    return -1 if value is None or value.shape is None else len(value.shape)


def _takes_first_token(node: onnx_ir.Node) -> bool:
    index = array_of(node.inputs[1]) if is_operator(node, "Gather") else None
    return (
        index is not None and node.attributes.get_int("axis", 0) == 1 and index.size == 1 and not index.any()
    )


def _swaps_heads(node: onnx_ir.Node) -> bool:
    return is_operator(node, "Transpose") and tuple(node.attributes.get_ints("perm", ())) == _HEADS_FIRST


def _row_bytes(value: onnx_ir.Value) -> float:
    (channels,) = _known(shape_of(value)[1:])
    return channels * dtype_of(value).itemsize
