"""A graph without branches: where an If chooses, what its else branch computes, whatever the inputs are."""

import onnx_ir

from pipeline.graph.file import Graph


def keep_else(graph: Graph) -> int:
    """Put every If's else branch in its place, and return how many there were.

    The pass mask_where_needed writes them: its else branch adds the mask, which is right for every input, and its then
    branch leaves out a mask of zeros. A module's values cannot be exchanged inside of a branch.
    """
    choices = [node for node in graph.graph if node.op_type == "If" and not node.domain]
    for choice in choices:
        branch = choice.attributes["else_branch"].as_graph()
        results = list(branch.outputs)
        branch.outputs.clear()
        for node in list(branch):
            branch.remove(node)
            graph.graph.insert_before(choice, node)
        for output, result in zip(choice.outputs, results, strict=True):
            output.replace_all_uses_with(result, replace_graph_outputs=True)
        graph.graph.remove(choice, safe=True)
        _forget(choice.attributes["then_branch"].as_graph())
    return len(choices)


def _forget(branch: onnx_ir.Graph) -> None:
    """Take a branch apart, so that it no longer counts among the readers of what it read."""
    branch.outputs.clear()
    for node in reversed(list(branch)):
        branch.remove(node, safe=True)
