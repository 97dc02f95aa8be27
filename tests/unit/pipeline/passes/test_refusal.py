"""What a pass refuses is counted apart from what it rewrites, with the reason, and does not stop it."""

import onnx_ir
import pytest

from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import Operators, rewrite
from pipeline.passes.refusal import RefusalError, rewrite_each
from tests.graphs import exported


def test_each_refusal_is_kept_with_the_name_of_its_node() -> None:
    nodes = list(exported().graph)[:3]

    def rewrite(node: onnx_ir.Node) -> None:
        if node is nodes[1]:
            raise RefusalError("too wide", node.outputs[0])

    assert rewrite_each(nodes, rewrite) == PassResult(rewrites=2, refusals=(f"{nodes[1].name}: too wide",))


def test_the_pass_that_a_refusal_asks_for_is_in_the_result() -> None:
    def refuse(node: onnx_ir.Node) -> None:
        raise RefusalError("too wide", before="narrow")

    result = rewrite_each(list(exported().graph)[:1], refuse)
    assert result.before == ("narrow",)
    assert result.refusals[0].endswith(": too wide; apply narrow before")

    def pattern(op: Operators, x: onnx_ir.Value) -> onnx_ir.Value:
        return op.Gelu(x, _outputs=["output"])

    matched = rewrite(exported(), pattern, dict, check=refuse, build=lambda match, builder: match["output"])
    assert set(matched.before) == {"narrow"}
    assert matched.refusals[0].endswith(": too wide; apply narrow before")


def test_any_other_error_is_raised() -> None:
    def rewrite(node: onnx_ir.Node) -> None:
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        rewrite_each(list(exported().graph), rewrite)
