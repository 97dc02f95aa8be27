"""Transposes that cancel, or that the product after them can take over."""

import onnx_ir
from onnx_ir.passes import common
from onnxscript.rewriter.pattern import MatchResult, RewriteRule
from onnxscript.rewriter.rules.common import no_op_transpose_rule, transpose_transpose_rule

from pipeline.graph.builder import array_of
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, module_of, named, refuse, rewrite


@fusion("transposes", emits=frozenset({MICROSOFT}))
def transposes(graph: Graph) -> Applied:
    """Transposes after each other as one or none; one of a weight as an attribute of com.microsoft FusedMatMul.

    The second keeps a tied weight, which embeddings read as it is stored, from being stored again at load.
    """
    applied = [
        rewrite(graph, rule)
        for rule in (
            transpose_transpose_rule,
            no_op_transpose_rule,
            RewriteRule(_pattern, _replacement, _check),
        )
    ]
    common.IdentityEliminationPass()(graph)
    return Applied(
        rewrites=sum(each.rewrites for each in applied),
        refusals=tuple(reason for each in applied for reason in each.refusals),
    )


def _pattern(op: Operators, x: onnx_ir.Value, weight: onnx_ir.Value) -> onnx_ir.Value:
    return op.MatMul(x, op.Transpose(weight, perm=[1, 0]), _outputs=["product"])


def _check(op: Operators, x: onnx_ir.Value, weight: onnx_ir.Value, product: onnx_ir.Value) -> MatchResult:
    if array_of(weight) is None:
        return refuse(f"{weight.name} is no weight", product)
    return MatchResult()


def _replacement(
    op: Operators, x: onnx_ir.Value, weight: onnx_ir.Value, product: onnx_ir.Value
) -> onnx_ir.Value:
    assert product.shape is not None
    fused = op.FusedMatMul(x, weight, transB=1, _domain=MICROSOFT)
    return named(fused, f"{module_of(product)}/FusedMatMul", shape=product.shape)
