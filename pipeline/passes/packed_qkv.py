"""The three projections of attention as one matrix product."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir
from onnxscript.rewriter.pattern import Pattern

from pipeline.graph.builder import Insertion, Output, initializer
from pipeline.graph.file import Graph
from pipeline.graph.names import module_of
from pipeline.graph.values import array_of, dtype_of, node_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import Operators, tidy
from pipeline.passes.refusal import RefusalError, rewrite_each

_QUERIES_KEYS_VALUES = 3
# After first_token, the queries of the last layer read the first token alone
_KEYS_VALUES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linear:
    """x times weight plus bias."""

    product: onnx_ir.Node
    """The MatMul."""

    sum: onnx_ir.Node
    """The Add, the product's only reader."""

    x: onnx_ir.Value
    """(.., in)."""

    weight: onnx_ir.Value
    """(in, out)."""

    bias: onnx_ir.Value
    """(out)."""

    @property
    def output(self) -> onnx_ir.Value:
        """(.., out)."""
        return self.sum.outputs[0]


@graph_pass("packed_qkv", after=("attention_scale", "first_token"), per_layer=1)
def packed_qkv(graph: Graph) -> PassResult:
    """Linear layers of attention that read the same value as one, and a Split of its output.

    These are queries, keys and values, or keys and values where `first_token` gives the queries another input.
    """
    by_input: dict[onnx_ir.Value, list[_Linear]] = defaultdict(list)
    for linear in _linears(graph):
        by_input[linear.x].append(linear)
    groups = {
        linears[0].product: linears
        for x, linears in by_input.items()
        if sum(node.op_type == "MatMul" for node, _ in x.uses()) > 1
    }

    def rewrite(product: onnx_ir.Node) -> None:
        _check(groups[product])
        _pack(graph, groups[product])

    result = rewrite_each(groups, rewrite)
    if result.rewrites:
        tidy(graph)
    return result


def _linears(graph: Graph) -> list[_Linear]:
    def pattern(op: Operators, x: onnx_ir.Value, weight: onnx_ir.Value, bias: onnx_ir.Value) -> onnx_ir.Value:
        return op.Add(op.MatMul(x, weight, _outputs=["product"]), bias, _outputs=["sum"])

    matcher = Pattern(pattern)
    linears = []
    for node in graph.graph:
        match = matcher.match(graph, graph.graph, node)
        if not match:
            continue
        linears.append(
            _Linear(
                product=node_of(match.bindings["product"]),
                sum=node,
                x=match.bindings["x"],
                weight=match.bindings["weight"],
                bias=match.bindings["bias"],
            )
        )
    return linears


def _check(linears: Sequence[_Linear]) -> None:
    """Raise RefusalError where `linears`, which read the same value, cannot be packed."""
    gives_first_token = any(node.op_type == "Gather" for node, _ in linears[0].x.uses())
    together = _KEYS_VALUES if gives_first_token else _QUERIES_KEYS_VALUES
    if len(linears) != together:
        raise RefusalError(
            f"{len(linears)} linear layers (a MatMul that only an Add reads) read {linears[0].x.name}, "
            f"must be {together}"
        )
    for linear in linears:
        weight, bias = array_of(linear.weight), array_of(linear.bias)
        if weight is None or weight.ndim != 2 or len(linear.weight.uses()) > 1:
            raise RefusalError(f"the weight {linear.weight.name} is not a matrix of its own")
        if bias is None or bias.shape != weight.shape[1:]:
            shape = None if bias is None else bias.shape
            raise RefusalError(f"the bias {linear.bias.name} has shape {shape}, must be {weight.shape[1:]}")


def _pack(graph: Graph, linears: Sequence[_Linear]) -> None:
    first = linears[0]
    weight = _joined(graph, [linear.weight for linear in linears])
    bias = _joined(graph, [linear.bias for linear in linears])
    widths = [shape_of(linear.bias).numpy()[0] for linear in linears]
    shape = [*shape_of(first.output)[:-1], sum(widths)]
    module = _packed_name(module_of(str(first.product.name)))
    insertion = Insertion.before(graph, first.product, module=module, dtype=dtype_of(first.output))
    product = insertion.add("MatMul", [first.x, weight], shape=shape)
    total = insertion.add("Add", [product, bias], shape=shape)
    parts = insertion.add_all(
        "Split",
        [total, insertion.sizes(*widths)],
        [Output(dtype=dtype_of(linear.output), shape=shape_of(linear.output)) for linear in linears],
        attributes={"axis": -1},
    )
    for part, linear in zip(parts, linears, strict=True):
        linear.output.replace_all_uses_with(part)
        graph.graph.remove([linear.sum, linear.product], safe=True)


def _joined(graph: Graph, parts: Sequence[onnx_ir.Value]) -> onnx_ir.Value:
    """`parts` side by side under one name; the parts are removed with the nodes that read them."""
    arrays = [array for part in parts if (array := array_of(part)) is not None]
    return initializer(graph, _packed_name(str(parts[0].name)), np.concatenate(arrays, axis=-1))


def _packed_name(name: str) -> str:
    """The packed projection's name, by that of the first: `qkv_lin` or `kv_lin`, otherwise `<name>.packed`."""
    for first, packed in (("q_lin", "qkv_lin"), ("k_lin", "kv_lin")):
        if first in name:
            return name.replace(first, packed)
    return f"{name}.packed"
