"""Applying one rewrite rule, and what the fusions share: names, constants, reasons for refusing."""

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir
from onnx_ir.passes import common
from onnxscript.rewriter.pattern import (
    MatchingTracer,
    MatchResult,
    MatchStatus,
    RewriteRule,
    RewriteRuleSet,
)

from pipeline.graph.builder import initializer
from pipeline.graph.file import Graph
from pipeline.graph.names import drop_exporter_notes
from pipeline.passes.base import Applied

MICROSOFT = "com.microsoft"

Shape = Iterable[int | onnx_ir.SymbolicDim]


class Operators(Protocol):
    """What patterns and replacements are written with: any operator by its name, one output."""

    def __getattr__(self, name: str) -> Callable[..., onnx_ir.Value]: ...


def rewrite(graph: Graph, rule: RewriteRule) -> Applied:
    """Apply `rule` wherever it matches; what looks nearly right comes back as refusals."""
    rewrites = RewriteRuleSet([rule]).apply_to_model(graph)
    # The matcher applies nothing while it is traced, so what it says now is about what is left.
    refusals = _Refusals(len(rule._target_pattern))
    RewriteRuleSet([rule]).apply_to_model(graph, tracer=refusals)
    if rewrites:
        tidy(graph)
    return Applied(rewrites=rewrites, refusals=tuple(refusals.reasons))


def tidy(graph: Graph) -> None:
    """Drop what nothing reads any more, and give every new value a type and a shape."""
    common.RemoveUnusedNodesPass()(graph)
    common.RemoveUnusedOpsetsPass()(graph)
    common.TopologicalSortPass()(graph)
    common.NameFixPass()(graph)
    drop_exporter_notes(graph)
    common.ShapeInferencePass()(graph)


def refuse(reason: str, source: onnx_ir.Value) -> MatchResult:
    """What a rule's check returns to turn a match down."""
    return MatchResult().fail(reason, source)


def constant(graph: Graph, array: npt.NDArray[np.generic]) -> onnx_ir.Value:
    """The graph's unnamed constant that equals `array`, made where there is none yet."""
    initializers = graph.graph.initializers
    for name, value in initializers.items():
        if not name.startswith("constant_") or value.const_value is None:
            continue
        found = value.const_value.numpy()
        if found.dtype == array.dtype and found.shape == array.shape and np.array_equal(found, array):
            return value
    number = 0
    while f"constant_{number}" in initializers:
        number += 1
    return initializer(graph, f"constant_{number}", array)


def module_of(value: onnx_ir.Value) -> str:
    """The path of the module whose node computes `value`."""
    producer = value.producer()
    return "" if producer is None or producer.name is None else producer.name.rpartition("/")[0]


def epsilon_of(normalized: onnx_ir.Value) -> float:
    """What the LayerNormalization that computes `normalized` adds to the variance."""
    node = normalized.producer()
    assert node is not None
    # ONNX's default (LayerNormalization, version 17)
    return node.attributes.get_float("epsilon", 1e-5)


def named(
    value: onnx_ir.Value, name: str, *, shape: Shape, dtype: onnx_ir.DataType = onnx_ir.DataType.FLOAT
) -> onnx_ir.Value:
    """`value` after its node was called `name`, and it was described."""
    node = value.producer()
    assert node is not None
    node.name = name
    return describe(value, shape, dtype)


def describe(value: onnx_ir.Value, shape: Shape, dtype: onnx_ir.DataType | None) -> onnx_ir.Value:
    """`value` with a name after its node, and the type and shape that inference cannot know of it."""
    node = value.producer()
    assert node is not None
    assert dtype is not None
    value.name = f"{node.name}_output_{value.index()}"
    value.shape = onnx_ir.Shape(shape)
    value.type = onnx_ir.TensorType(dtype)
    return value


class _Refusals(MatchingTracer):
    """Keeps why candidates that matched at least a quarter of a pattern were turned down."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.reasons: list[str] = []
        self._enough = max(nodes // 4, 1)

    def log(
        self,
        rule: RewriteRule,
        container: onnx_ir.Graph | onnx_ir.Function,
        node: onnx_ir.Node,
        match_result: MatchResult,
        status: MatchStatus,
    ) -> None:
        if status == MatchStatus.SUCCESS or match_result.num_matched_nodes() < self._enough:
            return
        computed = (
            each.name
            for each in match_result.failure_nodes_and_values
            if isinstance(each, onnx_ir.Node) or each.producer() is not None
        )
        where = next(computed, None) or node.name
        self.reasons.append(f"{where}: {match_result.reason.rstrip('.')}")
