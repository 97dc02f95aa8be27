"""Where modules end in a graph, found by the names that the export gave: `module/Operator` and `module.weight`.

Fusions and precisions keep those names, so the same module ends at the same value in two graphs of one checkpoint,
however its inside is written. A module that a fusion swallowed has no end there, and counts to the next one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir
from onnx_ir.passes import common

from pipeline.graph.file import Graph

_PARAMETERS = (".weight", ".bias")
_FLOATS = (None, onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16)
_PACKED, _PARTS = "qkv_lin", ("q_lin", "k_lin", "v_lin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The end of a module in the reference and in the variant."""

    module: str
    reference: onnx_ir.Value
    variant: onnx_ir.Value


def parameterized(graph: Graph) -> tuple[str, ...]:
    """Modules that own weights, by their names, in the order that the graph first reads them."""
    found: dict[str, None] = {}
    for node in graph.graph:
        for value in node.inputs:
            if value is not None and value.is_initializer():
                name = value.name or ""
                found |= {name.removesuffix(end): None for end in _PARAMETERS if name.endswith(end)}
    return tuple(found)


def shared(reference: Graph, variant: Graph) -> tuple[Boundary, ...]:
    """Modules that end in both graphs, in the reference's order, and every output that is not the end of one."""
    modules = parameterized(reference)
    common.ShapeInferencePass()(variant)  # other tools leave the types of values away
    ends, others = ends_of(reference, modules), ends_of(variant, modules)
    found = [
        Boundary(module=module, reference=value, variant=others[module])
        for module, value in ends.items()
        if module in others and _alike(value, others[module])
    ]
    taken = {each.reference for each in found}
    others = {str(value.name): value for value in variant.graph.outputs}
    found += [
        Boundary(module=str(value.name), reference=value, variant=others[str(value.name)])
        for value in reference.graph.outputs
        if value not in taken
    ]
    order = {node: index for index, node in enumerate(reference.graph)}
    return tuple(sorted(found, key=lambda each: order[_producer(each.reference)]))


def ends_of(graph: Graph, modules: Sequence[str]) -> dict[str, onnx_ir.Value]:
    """The value that each module hands on, by name; left out where a fusion leaves it none of its own.

    `modules` own weights. What computes without any, such as attention's core, ends too where it hands on one value.
    """
    owners = {node: _owner(node, modules) for node in graph.graph}
    weighted = _downstream_of_weights(graph)
    handed: dict[str, list[onnx_ir.Value]] = {}
    ends: dict[str, onnx_ir.Value] = {}
    for node, owner in owners.items():
        if owner is None:
            continue
        parts = _parts(node, owner)
        ends |= {name: value for name, value in zip(parts, node.outputs, strict=False) if _is_float(value)}
        for value in () if parts else node.outputs:
            readers = {owners[use.node] for use in value.uses()} - {owner}
            if _is_float(value) and node in weighted and (readers or value.is_graph_output()):
                handed.setdefault(owner, []).append(value)
    for owner, values in handed.items():
        if owner in modules:
            if not _bias_is_elsewhere(graph, owner, owners) and not _hands_on_weight(owner, values):
                ends[owner] = values[-1]
        elif len(values) == 1:
            ends[owner] = values[0]
    return ends


def followers(reference: Graph, boundaries: Sequence[Boundary]) -> dict[str, tuple[str, ...]]:
    """The modules whose boundaries come next, by the name of every module with weights and of every boundary."""
    modules = parameterized(reference)
    ends = {each.reference: each.module for each in boundaries}
    starts = {each.module: [use.node for use in each.reference.uses()] for each in boundaries}
    for node in reference.graph:
        owner = _owner(node, modules)
        if owner in modules and owner not in ends.values():
            starts.setdefault(owner, []).append(node)
    return {module: _next(nodes, ends) for module, nodes in starts.items()}


def swallowed(
    after: Mapping[str, Sequence[str]], ends: Collection[str], modules: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Those of `modules` that are not among `ends`, by each of the ends that come next after them."""
    found: dict[str, list[str]] = {}
    for module in modules:
        waiting = [] if module in ends else list(after.get(module, ()))
        seen = set(waiting)
        while waiting:
            reached = waiting.pop()
            if reached in ends:
                found.setdefault(reached, []).append(module)
                continue
            later = set(after.get(reached, ())) - seen
            seen |= later
            waiting.extend(later)
    return {module: tuple(names) for module, names in found.items()}


def _next(nodes: Sequence[onnx_ir.Node], ends: Mapping[onnx_ir.Value, str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    waiting, reached = list(nodes), set(nodes)
    while waiting:
        for value in waiting.pop().outputs:
            if value in ends:
                found[ends[value]] = None
                continue
            later = [use.node for use in value.uses() if use.node not in reached]
            reached.update(later)
            waiting.extend(later)
    return tuple(found)


def _owner(node: onnx_ir.Node, modules: Collection[str]) -> str | None:
    """The module that `node` belongs to: by its own name, or where it has none, by the last weight that it reads."""
    path, slash, _ = (node.name or "").rpartition("/")
    if slash:
        return _within(path, modules) or path
    named = [_within(value.name or "", modules) for value in node.inputs if value is not None]
    return next((module for module in reversed(named) if module is not None), None)


def _within(path: str, modules: Collection[str]) -> str | None:
    """The module that `path` names, or a tensor of it: `lin1` for `lin1`, `lin1.weight` and `lin1.weight_scale`."""
    while path:
        if path in modules:
            return path
        path = path.rpartition(".")[0]
    return None


def _parts(node: onnx_ir.Node, owner: str) -> tuple[str, ...]:
    """The modules whose values a packed projection splits into."""
    head, _, last = owner.rpartition(".")
    if last != _PACKED or node.op_type != "Split":
        return ()
    return tuple(f"{head}.{part}" for part in _PARTS)


def _bias_is_elsewhere(graph: Graph, module: str, owners: Mapping[onnx_ir.Node, str | None]) -> bool:
    """Whether another module's node adds this one's bias, so that what it hands on lacks it."""
    return any(
        owners[use.node] != module
        for name, value in graph.graph.initializers.items()
        if name.startswith(f"{module}.bias")
        for use in value.uses()
    )


def _hands_on_weight(module: str, values: Sequence[onnx_ir.Value]) -> bool:
    """Whether what `module` hands on is its weight, dequantized, for another module's node to multiply."""
    return any(str(_producer(value).name).startswith(f"{module}.weight/") for value in values)


def _downstream_of_weights(graph: Graph) -> set[onnx_ir.Node]:
    """Nodes that some weight has a part in; the rest, such as the mask, is no module's doing."""
    found: set[onnx_ir.Node] = set()
    for node in graph.graph:
        for value in node.inputs:
            if value is None:
                continue
            array = value.const_value
            if (array is not None and len(array.shape) == 2) or value.producer() in found:
                found.add(node)
    return found


def _is_float(value: onnx_ir.Value) -> bool:
    return value.dtype in _FLOATS and bool(value.uses() or value.is_graph_output())


def _alike(reference: onnx_ir.Value, variant: onnx_ir.Value) -> bool:
    ranks = {len(value.shape) for value in (reference, variant) if value.shape is not None}
    return len(ranks) <= 1


def _producer(value: onnx_ir.Value) -> onnx_ir.Node:
    node = value.producer()
    assert node is not None
    return node
