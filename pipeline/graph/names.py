"""Names in the graph: nodes and values carry their module's path, weights their name in the checkpoint.

Profiles, bisections of errors and refits of an engine show these names to their reader.
"""

import ast
from collections import Counter
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.graph.file import Graph

CONSTANT = "constant_"
"""How the names of initializers begin that are not parameters of the model; a number follows."""
_SCOPES = "pkg.torch.onnx.name_scopes"
# The scope that torch writes for nodes that belong to no module
_NO_MODULE = "_empty_nn_module_stack_from_metadata_hook"


def module_of(node_name: str) -> str:
    """The module in a node's name, `a.b` of `a.b/MatMul`; the whole name where it does not contain a module.

    Of `/a/b/MatMul`, as TorchScript's exporter writes it, it is `a.b` too.
    """
    module, _, _ = node_name.rpartition("/")
    return module.strip("/").replace("/", ".") or node_name


def unique_name(name: str, taken: AbstractSet[str]) -> str:
    """`name`, or where it is taken, `name` with the first number that makes it unique."""
    number, unique = 0, name
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique


def name_nodes(graph: "Graph", root: str) -> None:
    """Name each node `<module path>/<operator>` and each inner value after its node; `root` stands for the model."""
    fixed = {value.name for value in (*graph.graph.inputs, *graph.graph.outputs)} | set(
        graph.graph.initializers
    )
    counts: Counter[str] = Counter()
    for node in graph.graph:
        base = f"{_traced_module(node.metadata_props.get(_SCOPES), root)}/{node.op_type}"
        node.name = f"{base}_{counts[base]}" if counts[base] else base
        counts[base] += 1
        for index, value in enumerate(node.outputs):
            if value.name not in fixed:
                value.name = f"{node.name}_output_{index}"


def name_constants(graph: "Graph", parameters: frozenset[str]) -> None:
    """Number the initializers that are not parameters of the model, in the order of their first use."""
    number = 0
    for node in graph.graph:
        for value in node.inputs:
            if value is None or not value.is_initializer() or value.name in parameters:
                continue
            if value.name is None or not value.name.startswith(CONSTANT):
                value.name = f"{CONSTANT}{number}"
                number += 1


def drop_exporter_notes(graph: "Graph") -> None:
    """Remove the exporter's notes on nodes and values: source lines and paths of the machine that exported."""
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


def _traced_module(scopes: str | None, root: str) -> str:
    """The path of the module that a node was traced in; its scopes are a list as text, with the node's name last."""
    paths = [] if scopes is None else [str(path) for path in ast.literal_eval(scopes)[:-1]]
    return paths[-1] if paths and paths[-1] not in ("", _NO_MODULE) else root
