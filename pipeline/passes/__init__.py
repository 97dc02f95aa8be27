"""Passes over a graph, one a file. Which of them a target applies is data (pipeline/recipe/presets)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.passes.base import Pass, PassResult
from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.graph.file import Graph

registry: Registry[Pass] = Registry("pass", __name__)


def graph_pass(
    name: str,
    *,
    emits: frozenset[str] = frozenset(),
    after: tuple[str, ...] = (),
    per_layer: int | None = None,
    per_graph: int | None = None,
    every: bool = False,
) -> "Callable[[Callable[[Graph], PassResult]], Callable[[Graph], PassResult]]":
    """Register the decorated function as the pass `name`; the first line of its docstring says what it does.

    The other arguments are fields of `pipeline.passes.base.Pass`.
    """

    def register(run: "Callable[[Graph], PassResult]") -> "Callable[[Graph], PassResult]":
        summary = (run.__doc__ or "").strip().partition("\n")[0]
        registry.add(
            Pass(
                name=name,
                summary=summary,
                run=run,
                emits=emits,
                after=after,
                per_layer=per_layer,
                per_graph=per_graph,
                every=every,
            )
        )
        return run

    return register
