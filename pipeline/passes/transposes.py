"""Transposes that cancel each other, or that the matrix product after them can take over."""

from dataclasses import dataclass

import onnx_ir
from onnx_ir.passes import common
from onnxscript.rewriter.rules.common import no_op_transpose_rule, transpose_transpose_rule

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, apply_rule, rewrite
from pipeline.passes.refusal import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class _TransposedWeight:
    """One match of the pattern."""

    x: onnx_ir.Value
    """(.., in)."""

    weight: onnx_ir.Value
    """(out, in)."""

    output: onnx_ir.Value
    """Their product, (.., out)."""


@graph_pass("transposes", emits=frozenset({MICROSOFT}))
def transposes(graph: Graph) -> PassResult:
    """Consecutive transposes as one or none; that of a weight as an attribute of com.microsoft FusedMatMul.

    FusedMatMul keeps one copy of a tied weight, which embeddings read as it is stored: a Transpose of it would be
    folded into a second copy when the model is loaded.
    """
    results = (
        apply_rule(graph, transpose_transpose_rule),
        apply_rule(graph, no_op_transpose_rule),
        rewrite(graph, _pattern, _TransposedWeight, check=_check, build=_build),
    )
    common.IdentityEliminationPass()(graph)
    return PassResult(
        rewrites=sum(result.rewrites for result in results),
        refusals=tuple(reason for result in results for reason in result.refusals),
    )


def _pattern(op: Operators, x: onnx_ir.Value, weight: onnx_ir.Value) -> onnx_ir.Value:
    return op.MatMul(x, op.Transpose(weight, perm=[1, 0]), _outputs=["output"])


def _check(match: _TransposedWeight) -> None:
    if array_of(match.weight) is None:
        raise RefusalError(f"{match.weight.name} is not a weight", match.output)


def _build(match: _TransposedWeight, builder: Builder) -> onnx_ir.Value:
    return builder.add(
        "FusedMatMul",
        [match.x, match.weight],
        attributes={"transB": 1},
        shape=shape_of(match.output),
        domain=MICROSOFT,
    )
