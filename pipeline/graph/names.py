"""Names in the graph: nodes and values carry their module's path, weights their name in the checkpoint.

They are what a profile, a bisection of errors and a refit of an engine show their reader.
"""

import ast
from collections import Counter

from pipeline.graph.file import Graph

_SCOPES = "pkg.torch.onnx.name_scopes"
# Scopes that torch makes up for nodes that belong to no module
_MADE_UP = "_empty_nn_module_stack_from_metadata_hook"


def name_nodes(graph: Graph, root: str) -> None:
    """Name each node `<module path>/<operator>` and each inner value after its node; `root` stands for the model."""
    fixed = {value.name for value in (*graph.graph.inputs, *graph.graph.outputs)} | set(
        graph.graph.initializers
    )
    seen: Counter[str] = Counter()
    for node in graph.graph:
        base = f"{_module(node.metadata_props.get(_SCOPES), root)}/{node.op_type}"
        node.name = base if not seen[base] else f"{base}_{seen[base]}"
        seen[base] += 1
        for index, value in enumerate(node.outputs):
            if value.name not in fixed:
                value.name = f"{node.name}_output_{index}"


def name_constants(graph: Graph, parameters: frozenset[str]) -> None:
    """Number the initializers that are no parameter of the model, in the order of their first use."""
    number = 0
    for node in graph.graph:
        for value in node.inputs:
            if value is None or not value.is_initializer() or value.name in parameters:
                continue
            if value.name is None or not value.name.startswith("constant_"):
                value.name = f"constant_{number}"
                number += 1


def drop_exporter_notes(graph: Graph) -> None:
    """Remove what the exporter noted on nodes and values: source lines and paths of the machine that exported."""
    graph.metadata_props.clear()
    graph.graph.metadata_props.clear()
    graph.graph.doc_string = None
    values = [*graph.graph.inputs, *graph.graph.initializers.values()]
    for node in graph.graph:
        node.metadata_props.clear()
        node.doc_string = None
        values.extend(node.outputs)
    for value in values:
        value.metadata_props.clear()
        value.doc_string = None


def _module(scopes: str | None, root: str) -> str:
    """The path of the module a node was traced in; its scopes are a list written as text, the node's own name last."""
    paths = [] if scopes is None else [str(path) for path in ast.literal_eval(scopes)[:-1]]
    return paths[-1] if paths and paths[-1] not in ("", _MADE_UP) else root
