"""A linear layer's bias and the GELU after it as one operator."""

import onnx_ir
from onnxscript.rewriter.pattern import MatchResult, RewriteRule

from pipeline.graph.builder import array_of
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, module_of, named, refuse, rewrite


@fusion("bias_gelu", emits=frozenset({MICROSOFT}), per_layer=1)
def bias_gelu(graph: Graph) -> Applied:
    """Add and Gelu as com.microsoft BiasGelu; the tanh approximation is another function and is refused."""

    def pattern(op: Operators, x: onnx_ir.Value, bias: onnx_ir.Value) -> onnx_ir.Value:
        return op.Gelu(op.Add(x, bias), _outputs=["activated"])

    def check(op: Operators, x: onnx_ir.Value, bias: onnx_ir.Value, activated: onnx_ir.Value) -> MatchResult:
        node = activated.producer()
        assert node is not None
        approximate = node.attributes.get_string("approximate", "none")
        if approximate != "none":
            return refuse(f"GELU by its {approximate} approximation is another function", activated)
        array = array_of(bias)
        if array is None or x.shape is None or array.shape != tuple(x.shape[-1:]):
            found = "no constant" if array is None else f"of shape {array.shape}"
            return refuse(
                f"the bias {bias.name} is {found}, must be one constant for each channel", activated
            )
        return MatchResult()

    def replacement(
        op: Operators, x: onnx_ir.Value, bias: onnx_ir.Value, activated: onnx_ir.Value
    ) -> onnx_ir.Value:
        assert activated.shape is not None
        fused = op.BiasGelu(x, bias, _domain=MICROSOFT)
        return named(fused, f"{module_of(activated)}/BiasGelu", shape=activated.shape)

    return rewrite(graph, RewriteRule(pattern, replacement, check))
