"""The places of kept tokens as an input of the graph, for compilers that cannot count them."""

import onnx_ir
from distilforge.kept_tokens import KEPT_TOKENS

from pipeline.graph.file import Graph
from pipeline.graph.values import is_operator, sole_reader
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.matching.token_rows import KEPT


@graph_pass("kept_input", after=("drop_padding",), per_graph=1)
def kept_input(graph: Graph) -> PassResult:
    """The slots of kept tokens come from an input, `kept_tokens`, in place of NonZero.

    The number of nonzero elements is known only when a batch runs. TensorRT then has to stop for it and can make no
    CUDA graph, and TensorRT-RTX does not have the operator. The runtime feeds the input (distilforge.kept_tokens).
    """
    for node in graph.graph:
        if not is_operator(node, "NonZero"):
            continue
        flat = sole_reader(node.outputs[0])
        if flat is not None and is_operator(flat, "Reshape"):
            kept = onnx_ir.val(KEPT_TOKENS, onnx_ir.DataType.INT64, onnx_ir.Shape([KEPT]))
            graph.graph.inputs.append(kept)
            flat.outputs[0].replace_all_uses_with(kept)
            tidy(graph)
            return PassResult(rewrites=1)
    return PassResult(rewrites=0, refusals=("graph: nothing drops padding",), before=("drop_padding",))
