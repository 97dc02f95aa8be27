"""Schemes that write a precision into a graph: one a file. Which a target uses is data (pipeline/recipe/presets)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from distilforge.manifest import PassRecord, Verdict

from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

Feeds = Mapping[str, npt.NDArray[np.int64]]
Calibration = Callable[[], Iterable[Feeds]]
"""Batches of real inputs, from the start each time it is called."""


def when_asked(make: Callable[[], Calibration]) -> Calibration:
    """What `make` gives, made when batches are first asked for, since not every scheme looks at values, and kept."""
    kept = cache(make)
    return lambda: kept()()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformed:
    """What was done to a graph: its records, what was proved on the way, what a reader must know before deploying."""

    passes: tuple[PassRecord, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One way to write a precision into a graph, in place."""

    name: str
    summary: str
    run: "Callable[[Graph, Plan, Calibration], Transformed]"


schemes: Registry[Scheme] = Registry("scheme", __name__)


def scheme(
    name: str,
) -> "Callable[[Callable[[Graph, Plan, Calibration], Transformed]], Callable[[Graph, Plan, Calibration], Transformed]]":
    """Register the decorated function, whose docstring's first line says what it does, as the scheme `name`."""

    def register(
        run: "Callable[[Graph, Plan, Calibration], Transformed]",
    ) -> "Callable[[Graph, Plan, Calibration], Transformed]":
        schemes.add(Scheme(name=name, summary=(run.__doc__ or "").strip().partition("\n")[0], run=run))
        return run

    return register
