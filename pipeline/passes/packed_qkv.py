"""The three projections of attention as one matrix product."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir
from onnx_ir import Node
from onnxscript.rewriter.pattern import Pattern

from pipeline.graph.builder import array_of, initializer
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import Operators, constant, describe, tidy

_TOGETHER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linear:
    """x (.., in) times weight (in, out) plus bias (out)."""

    product: Node
    sum: Node
    x: onnx_ir.Value
    weight: onnx_ir.Value
    bias: onnx_ir.Value

    @property
    def output(self) -> onnx_ir.Value:
        return self.sum.outputs[0]


@fusion("packed_qkv", after=("attention_scale",), per_layer=1)
def packed_qkv(graph: Graph) -> Applied:
    """Three linear layers that read the same value as one, and a Split of its output."""
    by_input: dict[onnx_ir.Value, list[_Linear]] = defaultdict(list)
    for linear in _linears(graph):
        by_input[linear.x].append(linear)
    rewrites = 0
    refusals: list[str] = []
    for x, found in by_input.items():
        problem = _problem(x, found)
        if problem is None:
            _pack(graph, found)
            rewrites += 1
        elif sum(node.op_type == "MatMul" for node, _ in x.uses()) > 1:
            refusals.append(f"{found[0].product.name}: {problem}")
    if rewrites:
        tidy(graph)
    return Applied(rewrites=rewrites, refusals=tuple(refusals))


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
                product=match.bindings["product"].producer(),
                sum=node,
                x=match.bindings["x"],
                weight=match.bindings["weight"],
                bias=match.bindings["bias"],
            )
        )
    return linears


def _problem(x: onnx_ir.Value, found: Sequence[_Linear]) -> str | None:
    """Why `found`, which read `x`, cannot be packed; None where they can."""
    if len(found) != _TOGETHER:
        return (
            f"{len(found)} linear layers (MatMul, then Add, no other use of what is between) read {x.name}, "
            f"must be {_TOGETHER}"
        )
    for linear in found:
        weight, bias = array_of(linear.weight), array_of(linear.bias)
        if weight is None or weight.ndim != 2 or len(linear.weight.uses()) > 1:
            return f"the weight {linear.weight.name} is no matrix of its own"
        if bias is None or bias.shape != weight.shape[1:]:
            shape = None if bias is None else bias.shape
            return f"the bias {linear.bias.name} has shape {shape}, must be {weight.shape[1:]}"
    return None


def _pack(graph: Graph, found: Sequence[_Linear]) -> None:
    first = found[0]
    weight = _joined(graph, [linear.weight for linear in found])
    bias = _joined(graph, [linear.bias for linear in found])
    widths = np.array([linear.bias.const_value.size for linear in found if linear.bias.const_value])
    module = _packed((first.product.name or "").rpartition("/")[0])
    product = onnx_ir.node("MatMul", [first.x, weight], name=f"{module}/MatMul")
    added = onnx_ir.node("Add", [product.outputs[0], bias], name=f"{module}/Add")
    split = onnx_ir.node(
        "Split",
        [added.outputs[0], constant(graph, widths.astype(np.int64))],
        {"axis": -1},
        num_outputs=len(found),
        name=f"{module}/Split",
    )
    graph.graph.insert_before(first.product, [product, added, split])
    shape = first.output.shape
    assert shape is not None
    for value in (product.outputs[0], added.outputs[0]):
        describe(value, [*shape[:-1], int(widths.sum())], first.output.dtype)
    for part, linear in zip(split.outputs, found, strict=True):
        assert linear.output.shape is not None
        describe(part, linear.output.shape, linear.output.dtype)
        linear.output.replace_all_uses_with(part)
        graph.graph.remove([linear.sum, linear.product], safe=True)


def _joined(graph: Graph, parts: Sequence[onnx_ir.Value]) -> onnx_ir.Value:
    """`parts` side by side under one name; the parts themselves go with the nodes that read them."""
    arrays = [part.const_value.numpy() for part in parts if part.const_value is not None]
    name = _packed(parts[0].name or "")
    return initializer(graph, name, np.concatenate(arrays, axis=-1))


def _packed(name: str) -> str:
    """The name of what q_lin becomes a part of; any other first name keeps itself and says so."""
    return name.replace("q_lin", "qkv_lin") if "q_lin" in name else f"{name}.packed"
