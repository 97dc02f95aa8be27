"""A pass over a graph: what it does, what it must find, and applying several in their order."""

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
class Applied:
    """How many rewrites a pass made; `refusals` says why the matcher turned down what looked nearly right."""

    rewrites: int
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One rewrite of a graph, in place.

    emits: the operator domains that it may introduce. after: names of passes that go first where both are applied.
    per_layer, per_graph: how many rewrites it must make in each encoder layer, or in all; fewer is an error. every: it
    must rewrite all that looks nearly right; a refusal is an error, however many were made.
    """

    name: str
    summary: str
    run: "Callable[[Graph], Applied]"
    emits: frozenset[str] = frozenset()
    after: tuple[str, ...] = ()
    per_layer: int | None = None
    per_graph: int | None = None
    every: bool = False

    def expected(self, layers: int) -> int:
        """The fewest rewrites that it may make in a graph of `layers` encoder layers.

        Where no layer is known by its weights' names, a contract for each layer asks for one at least: an exporter
        that renames the weights must not make it empty.
        """
        return max((self.per_layer or 0) * max(layers, 1), self.per_graph or 0)


def layers(graph: "Graph") -> int:
    """How many encoder layers the names of the graph's weights tell of."""
    names = " ".join(graph.graph.initializers)
    return len(set(_LAYER.findall(names)))


def ordered(passes: Sequence[Pass]) -> tuple[Pass, ...]:
    """`passes` with each after those that it names; among equals, the order given."""
    named: Mapping[str, Pass] = {each.name: each for each in passes}
    sorter = TopologicalSorter({each.name: [name for name in each.after if name in named] for each in passes})
    return tuple(named[name] for name in sorter.static_order())


def apply(graph: "Graph", passes: Sequence[Pass]) -> tuple[PassRecord, ...]:
    """Apply `passes` to `graph` in their order; ContractError where one found less than it must."""
    count = layers(graph)
    records = []
    for each in ordered(passes):
        applied = each.run(graph)
        expected = max(each.expected(count), applied.rewrites + len(applied.refusals) if each.every else 0)
        if applied.rewrites < expected:
            raise ContractError(each.name, applied.rewrites, expected, applied.refusals)
        records.append(PassRecord(name=each.name, rewrites=applied.rewrites))
    return tuple(records)
