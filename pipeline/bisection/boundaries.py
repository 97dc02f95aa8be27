"""Where modules end in a graph, by the names that the export gave: `module/Operator` and `module.weight`.

Passes and schemes keep those names, so a module ends at the same value in two graphs of one checkpoint, even where its
operators differ. A module that a pass swallowed does not end anywhere; its errors count to the next module.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir
from onnx_ir.passes import common

from pipeline.graph.file import Graph
from pipeline.passes.whole_vectors import KEYS
from pipeline.precision.layers import packed

_PARAMETERS = (".weight", ".bias")
_FLOATS = (None, onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The end of a module in both graphs."""

    module: str
    """Hugging Face's name, or the name of a graph's output that is not the end of a module."""
    reference: onnx_ir.Value
    """The value in the reference."""
    variant: onnx_ir.Value
    """The value in the variant."""


def parameterized(graph: Graph) -> tuple[str, ...]:
    """The names of modules that own weights, in the order in which the graph first reads them."""
    modules: dict[str, None] = {}
    for node in graph.graph:
        for value in node.inputs:
            if value is not None and value.is_initializer():
                name = value.name or ""
                modules |= {name.removesuffix(end): None for end in _PARAMETERS if name.endswith(end)}
    return tuple(modules)


def shared(reference: Graph, variant: Graph) -> tuple[Boundary, ...]:
    """Modules that end in both graphs, and outputs that are not the end of a module, in the reference's order."""
    modules = parameterized(reference)
    common.ShapeInferencePass()(variant)  # other tools leave out the types of values
    ends, variant_ends = ends_of(reference, modules), ends_of(variant, modules)
    boundaries = [
        Boundary(module=module, reference=value, variant=variant_ends[module])
        for module, value in ends.items()
        if module in variant_ends and _have_one_shape(value, variant_ends[module])
    ]
    module_ends = {boundary.reference for boundary in boundaries}
    outputs = {str(value.name): value for value in variant.graph.outputs}
    boundaries += [
        Boundary(module=str(value.name), reference=value, variant=outputs[str(value.name)])
        for value in reference.graph.outputs
        if value not in module_ends
    ]
    order = {node: index for index, node in enumerate(reference.graph)}
    return tuple(sorted(boundaries, key=lambda boundary: order[_producer(boundary.reference)]))


def ends_of(graph: Graph, modules: Sequence[str]) -> dict[str, onnx_ir.Value]:
    """The last value of each module that other modules read, by the module's name.

    `modules` own weights. One whose last value a pass took away is left out. A module without weights, such as the
    core of attention, has an end where other modules read just one of its values.
    """
    owners = {node: _owner(node, modules) for node in graph.graph}
    weighted = _downstream_of_weights(graph)
    results: dict[str, list[onnx_ir.Value]] = {}
    ends: dict[str, onnx_ir.Value] = {}
    for node, owner in owners.items():
        if owner is None:
            continue
        parts = packed.parts(owner) if node.op_type == "Split" else ()
        ends |= {name: value for name, value in zip(parts, node.outputs, strict=False) if _is_float(value)}
        for value in () if parts else node.outputs:
            readers = {owners[use.node] for use in value.uses()} - {owner}
            if _is_float(value) and node in weighted and (readers or value.is_graph_output()):
                results.setdefault(owner, []).append(value)
    for owner, values in results.items():
        if owner in modules:
            if not _bias_is_elsewhere(graph, owner, owners) and not _is_weight(owner, values):
                ends[owner] = values[-1]
        elif len(values) == 1:
            ends[owner] = values[0]
    return ends


def followers(reference: Graph, boundaries: Sequence[Boundary]) -> dict[str, tuple[str, ...]]:
    """The modules whose boundaries come next after every module with weights and after every boundary, by name."""
    modules = parameterized(reference)
    ends = {boundary.reference: boundary.module for boundary in boundaries}
    starts = {boundary.module: [use.node for use in boundary.reference.uses()] for boundary in boundaries}
    for node in reference.graph:
        owner = _owner(node, modules)
        if owner in modules and owner not in ends.values():
            starts.setdefault(owner, []).append(node)
    return {module: _next(nodes, ends) for module, nodes in starts.items()}


def swallowed(
    following: Mapping[str, Sequence[str]], ends: Collection[str], modules: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Those of `modules` that are not among `ends`, by each of the ends that come next after them.

    `following` has the modules that come next after each module, as `followers` returns them.
    """
    swallowed_by: dict[str, list[str]] = {}
    for module in modules:
        waiting = [] if module in ends else list(following.get(module, ()))
        visited = set(waiting)
        while waiting:
            name = waiting.pop()
            if name in ends:
                swallowed_by.setdefault(name, []).append(module)
                continue
            later = set(following.get(name, ())) - visited
            visited |= later
            waiting.extend(later)
    return {end: tuple(names) for end, names in swallowed_by.items()}


def _next(nodes: Sequence[onnx_ir.Node], ends: Mapping[onnx_ir.Value, str]) -> tuple[str, ...]:
    """The modules whose ends are the first on the paths from `nodes`."""
    modules: dict[str, None] = {}
    waiting, visited = list(nodes), set(nodes)
    while waiting:
        for value in waiting.pop().outputs:
            if value in ends:
                modules[ends[value]] = None
                continue
            later = [use.node for use in value.uses() if use.node not in visited]
            visited.update(later)
            waiting.extend(later)
    return tuple(modules)


def _owner(node: onnx_ir.Node, modules: Collection[str]) -> str | None:
    """The module that `node` belongs to, by its name; where the name has no path, by the last weight that it reads."""
    path, slash, _ = (node.name or "").rpartition("/")
    if slash:
        return _within(path, modules) or path
    named = [_within(value.name or "", modules) for value in node.inputs if value is not None]
    return next((module for module in reversed(named) if module is not None), None)


def _within(path: str, modules: Collection[str]) -> str | None:
    """The module of `path` or of the tensor `path`: `lin1` for `lin1`, `lin1.weight` and `lin1.weight_scale`."""
    while path:
        if path in modules:
            return path
        path = path.rpartition(".")[0]
    return None


def _bias_is_elsewhere(graph: Graph, module: str, owners: Mapping[onnx_ir.Node, str | None]) -> bool:
    """Whether a node of another module adds the bias of `module`, so that its own last value lacks the bias."""
    return any(
        owners[use.node] != module
        for name, value in graph.graph.initializers.items()
        if name.startswith(f"{module}.bias")
        for use in value.uses()
    )


def _is_weight(module: str, values: Sequence[onnx_ir.Value]) -> bool:
    """Whether one of `values` is the dequantized weight of `module`, which a node of another module multiplies."""
    return any(str(_producer(value).name).startswith(f"{module}.weight/") for value in values)


def _downstream_of_weights(graph: Graph) -> set[onnx_ir.Node]:
    """Nodes whose outputs depend on a weight; other nodes, such as those of the mask, belong to no module."""
    nodes: set[onnx_ir.Node] = set()
    for node in graph.graph:
        for value in node.inputs:
            if value is None:
                continue
            array = value.const_value
            if (array is not None and len(array.shape) == 2) or value.producer() in nodes:
                nodes.add(node)
    return nodes


def _is_float(value: onnx_ir.Value) -> bool:
    """Whether `value` is a float, or of unknown type, that something reads."""
    return value.dtype in _FLOATS and bool(value.uses() or value.is_graph_output())


def _have_one_shape(reference: onnx_ir.Value, variant: onnx_ir.Value) -> bool:
    """Whether both values have the same axes, as far as they are known. Those of padded keys are longer."""
    ranks = {len(value.shape) for value in (reference, variant) if value.shape is not None}
    return len(ranks) <= 1 and KEYS not in (variant.shape or ())


def _producer(value: onnx_ir.Value) -> onnx_ir.Node:
    node = value.producer()
    assert node is not None
    return node
