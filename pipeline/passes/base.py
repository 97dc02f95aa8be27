"""A pass over a graph: what it does, how often it must match, and applying several passes in their order."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord

from pipeline.errors import ContractError

if TYPE_CHECKING:
    from pipeline.graph.file import Graph

_LAYER = re.compile(r"\btransformer\.layer\.(\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """The result of a pass on one graph."""

    rewrites: int
    """How many places it rewrote."""

    refusals: tuple[str, ...] = ()
    """One line for each place that nearly matched its pattern and was skipped, `<node>: <reason>`."""

    before: tuple[str, ...] = ()
    """The passes that must be applied before, by those reasons."""

    exempt: int = 0
    """How many places compute something else by the model's design; it must make that many rewrites fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One rewrite of a graph, in place."""

    name: str
    """Its name in plans."""

    summary: str
    """What it does, in one line, for `distilforge list passes`."""

    run: "Callable[[Graph], PassResult]"
    """Rewrites a graph wherever the pattern matches."""

    emits: frozenset[str] = frozenset()
    """The operator domains, besides ONNX's own, that it may bring into a graph."""

    after: tuple[str, ...] = ()
    """Names of passes that go first where both are applied."""

    per_layer: int | None = None
    """The fewest rewrites that it must make for each encoder layer; None where there is no such number."""

    per_graph: int | None = None
    """The fewest rewrites that it must make in the whole graph; None where there is no such number."""

    every: bool = False
    """Whether it must rewrite every place that looks like its pattern, so that one refusal is an error."""

    def expected(self, layers: int) -> int:
        """The fewest rewrites that it may make in a graph of `layers` encoder layers.

        Where the weights' names show no layer, a contract for each layer asks for one layer: an exporter that renames
        the weights must not switch the check off.
        """
        return max((self.per_layer or 0) * max(layers, 1), self.per_graph or 0)


def layers(graph: "Graph") -> int:
    """How many encoder layers the graph has, by the names of its weights."""
    names = " ".join(graph.graph.initializers)
    return len(set(_LAYER.findall(names)))


def ordered(passes: Sequence[Pass]) -> tuple[Pass, ...]:
    """`passes` in an order that their `after` allows, and otherwise in the order given.

    Raises ValueError where passes wait for each other.
    """
    by_name: Mapping[str, Pass] = {entry.name: entry for entry in passes}
    sorter = TopologicalSorter(
        {entry.name: [name for name in entry.after if name in by_name] for entry in passes}
    )
    return tuple(by_name[name] for name in sorter.static_order())


def apply(graph: "Graph", passes: Sequence[Pass]) -> tuple[PassRecord, ...]:
    """Apply `passes` to `graph` in their order; ContractError where one made fewer rewrites than it must."""
    count = layers(graph)
    records = []
    for entry in ordered(passes):
        result = entry.run(graph)
        fewest = entry.expected(count) - result.exempt
        expected = max(fewest, result.rewrites + len(result.refusals) if entry.every else 0)
        if result.rewrites < expected:
            raise ContractError(entry.name, result.rewrites, expected, result.refusals, before=result.before)
        records.append(PassRecord(name=entry.name, rewrites=result.rewrites))
    return tuple(records)
