"""Rewriting a graph by a pattern: onnxscript finds it, a check may refuse it, and a builder replaces it.

A pass that rewrites by a pattern defines a dataclass with a field for each value that its pattern names, `output` for
the value that is replaced, and calls `rewrite` with three functions: the pattern, the check and what is built instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import onnx_ir
from onnx_ir.passes import common
from onnxscript.rewriter.pattern import (
    MatchingTracer,
    MatchResult,
    MatchStatus,
    RewriteRule,
    RewriteRuleSet,
)

from pipeline.graph.builder import Attributes, Builder
from pipeline.graph.file import Graph
from pipeline.graph.names import drop_exporter_notes
from pipeline.graph.values import module_of_value, node_of
from pipeline.passes.base import PassResult
from pipeline.passes.refusal import RefusalError

MICROSOFT = "com.microsoft"


class Operators(Protocol):
    """What a pattern is written with: any operator by its name, with one output."""

    def __getattr__(self, name: str) -> Callable[..., onnx_ir.Value]: ...


class Match(Protocol):
    """The values of one match, by the names that the pattern gives them."""

    @property
    def output(self) -> onnx_ir.Value:
        """The value that is replaced."""
        ...


MatchT = TypeVar("MatchT", bound=Match)


class Replacement(Builder):
    """Adds nodes that take the place of a match."""

    def __init__(self, graph: Graph, module: str, operators: Operators) -> None:
        super().__init__(graph, module)
        self._operators = operators

    def in_module(self, module: str) -> "Replacement":
        """The same place, for nodes that belong to `module`."""
        return Replacement(self.graph, module, self._operators)

    def _make(
        self,
        op_type: str,
        inputs: Sequence[onnx_ir.Value | None],
        attributes: Attributes,
        domain: str,
        name: str,
        outputs: int,
    ) -> onnx_ir.Node:
        made = self._operators.op(
            op_type, *inputs, _domain=domain, _name=name, _outputs=outputs, **attributes
        )
        return node_of(made if isinstance(made, onnx_ir.Value) else made[0])


def rewrite(
    graph: Graph,
    pattern: Callable[..., onnx_ir.Value],
    match: Callable[..., MatchT],
    *,
    check: Callable[[MatchT], None],
    build: Callable[[MatchT, Builder], onnx_ir.Value],
) -> PassResult:
    """Replace each match of `pattern`, read as a `match`, by what `build` builds, unless `check` raises RefusalError.

    `build` returns the value that takes the place of `match.output`. The builder's module is that of `match.output`.
    """

    before: list[str] = []

    def accepts(operators: Operators, **values: onnx_ir.Value) -> MatchResult:
        try:
            check(match(**values))
        except RefusalError as refusal:
            before.extend(refusal.before)
            return MatchResult().fail(str(refusal), refusal.value)
        return MatchResult()

    def replacement(operators: Operators, **values: onnx_ir.Value) -> onnx_ir.Value:
        matched = match(**values)
        return build(matched, Replacement(graph, module_of_value(matched.output), operators))

    return replace(apply_rule(graph, RewriteRule(pattern, replacement, accepts)), before=tuple(before))


def apply_rule(graph: Graph, rule: RewriteRule) -> PassResult:
    """Apply onnxscript's `rule` wherever it matches; what matches in part becomes a refusal."""
    rewrites = RewriteRuleSet([rule]).apply_to_model(graph)
    # The matcher changes nothing while it is traced, so that this second run sees the places that are left.
    refusals = _Refusals(len(rule._target_pattern))
    RewriteRuleSet([rule]).apply_to_model(graph, tracer=refusals)
    if rewrites:
        tidy(graph)
    return PassResult(rewrites=rewrites, refusals=tuple(refusals.reasons))


def tidy(graph: Graph) -> None:
    """Remove nodes and opsets that nothing uses, and give every new value a unique name, a type and a shape."""
    common.RemoveUnusedNodesPass()(graph)
    common.RemoveUnusedOpsetsPass()(graph)
    common.TopologicalSortPass()(graph)
    common.NameFixPass()(graph)
    drop_exporter_notes(graph)
    common.ShapeInferencePass()(graph)


def epsilon_of(normalized: onnx_ir.Value) -> float:
    """The number that the LayerNormalization that computes `normalized` adds to the variance."""
    # ONNX's default (LayerNormalization, version 17)
    return node_of(normalized).attributes.get_float("epsilon", 1e-5)


class _Refusals(MatchingTracer):
    """Keeps the reasons why candidates that matched at least a quarter of a pattern were refused."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.reasons: list[str] = []
        self._fewest_matched = max(nodes // 4, 1)

    def log(
        self,
        rule: RewriteRule,
        container: onnx_ir.Graph | onnx_ir.Function,
        node: onnx_ir.Node,
        match_result: MatchResult,
        status: MatchStatus,
    ) -> None:
        if status == MatchStatus.SUCCESS or match_result.num_matched_nodes() < self._fewest_matched:
            return
        computed = (
            source.name
            for source in match_result.failure_nodes_and_values
            if isinstance(source, onnx_ir.Node) or source.producer() is not None
        )
        place = next(computed, None) or node.name
        self.reasons.append(f"{place}: {match_result.reason.rstrip('.')}")
