"""A graph without branches: the else branch of every If takes its place."""

import onnx_ir

from pipeline.graph.file import Graph


def keep_else(graph: Graph) -> int:
    """Put the else branch of every If in its place, and return how many there were.

    The pass mask_where_needed writes these If nodes. The else branch adds the mask, which is right for every input; the
    then branch leaves out a mask of zeros. Values of a module inside a branch could not be exchanged.
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
        _dismantle(choice.attributes["then_branch"].as_graph())
    return len(choices)


def _dismantle(branch: onnx_ir.Graph) -> None:
    """Remove the nodes of `branch`, so that they no longer count as readers of values outside."""
    branch.outputs.clear()
    for node in reversed(list(branch)):
        branch.remove(node, safe=True)
