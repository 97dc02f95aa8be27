"""When accuracy is looked at, and how clear it must be each time, so that all looks together keep their confidence.

A group-sequential test that spends its chance of error over the looks (Lan and DeMets 1983), by a power of the share
of the examples that are answered (Kim and DeMets 1987). Jennison and Turnbull (2000), chapters 7 and 19, describe both.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from validation.metrics import Array
from validation.noninferiority import unseen

# Of 1,500 examples the first 500 can show a loss below 1 point (from 464 on), and the last look asks little more than
# a single one would: 1.79 standard errors and not 1.64
POWER = 1.5
# Standard normal values below this one have a chance of 1e-19, which no critical value notices
LOWEST = -9.0
# Of Gauss and Legendre's rule; the critical values agree with published ones to all three digits
NODES = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A moment at which accuracy is judged."""

    examples: int
    """How many have been answered."""
    of: int
    """How many there are."""
    critical: float
    """By how many standard errors the loss must lie within the margin."""


def single_look(examples: int, confidence: float) -> Look:
    """All of `examples` at once, one-sided at `confidence`."""
    return Look(examples=examples, of=examples, critical=float(stats.norm.ppf(confidence)))


def plan(examples: int, *, count: int, margin: float, confidence: float) -> tuple[Look, ...]:
    """At most `count` looks after equal parts of `examples`, the last at all of them.

    A look that not even a variant without any difference could pass is left out, and what it would have spent is left
    for later ones. That depends on the numbers given here alone, and so not on any answer.
    """
    ends = sorted({round(examples * number / count) for number in range(1, count + 1)} - {0, 1} | {examples})
    while True:
        criticals = critical_values(
            tuple(end / examples for end in ends), spent(np.asarray(ends) / examples, 1 - confidence)
        )
        futile = [
            end
            for end, critical in zip(ends[:-1], criticals[:-1], strict=True)
            if unseen(end, critical) > margin
        ]
        if not futile:
            return tuple(
                Look(examples=end, of=examples, critical=critical)
                for end, critical in zip(ends, criticals, strict=True)
            )
        ends.remove(futile[0])


def spent(shares: Array, alpha: float) -> tuple[float, ...]:
    """Of the chance `alpha` of passing what is not good enough, how much may be spent up to each of `shares`."""
    return tuple(map(float, alpha * shares**POWER))


@functools.lru_cache(maxsize=256)
def critical_values(shares: tuple[float, ...], spending: tuple[float, ...]) -> tuple[float, ...]:
    """What the statistic of each look must reach, so that the chance of having passed by then is as in `spending`.

    `shares` of the information rise to 1. The statistics are jointly normal with unit variance and the covariance
    sqrt(earlier / later).
    """
    first = float(stats.norm.isf(spending[0]))
    criticals, remaining = [first], _first(shares[0], first)
    for share, chance in zip(shares[1:], np.diff(spending), strict=True):
        critical = remaining.critical(share, float(chance))
        remaining = remaining.after(share, critical)
        criticals.append(critical)
    return tuple(criticals)


def passing_chances(shares: Sequence[float], criticals: Sequence[float]) -> tuple[float, ...]:
    """The chance, on the margin, of passing at each look and at none before it."""
    chances, remaining = [float(stats.norm.sf(criticals[0]))], _first(shares[0], criticals[0])
    for share, critical in zip(shares[1:], criticals[1:], strict=True):
        chances.append(remaining.passing(share, critical))
        remaining = remaining.after(share, critical)
    return tuple(chances)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remaining:
    """The statistic of those that have not passed: its density on nodes, weighed for integration.

    It is carried from look to look by numerical integration (Armitage, McPherson and Rowe 1969).
    """

    share: float
    nodes: Array
    masses: Array

    def passing(self, share: float, critical: float) -> float:
        """The chance of reaching `critical` at the look after `share` of the information."""
        kept, spread = self._step(share)
        return float(self.masses @ stats.norm.sf((critical - kept * self.nodes) / spread))

    def critical(self, share: float, chance: float) -> float:
        """What is reached with `chance` at that look."""
        return float(optimize.brentq(lambda value: self.passing(share, value) - chance, LOWEST, -LOWEST))

    def after(self, share: float, critical: float) -> "_Remaining":
        """Those that do not reach it."""
        kept, spread = self._step(share)
        nodes, weights = _rule(critical)
        densities = stats.norm.pdf((nodes[:, None] - kept * self.nodes) / spread) / spread
        return _Remaining(share=share, nodes=nodes, masses=weights * (densities @ self.masses))

    def _step(self, share: float) -> tuple[float, float]:
        """The correlation with the statistic after `share`, and what of that one's spread is new."""
        kept = float(np.sqrt(self.share / share))
        return kept, float(np.sqrt(1 - kept**2))


def _first(share: float, critical: float) -> _Remaining:
    nodes, weights = _rule(critical)
    return _Remaining(share=share, nodes=nodes, masses=weights * stats.norm.pdf(nodes))


def _rule(critical: float) -> tuple[Array, Array]:
    """Nodes and weights of Gauss and Legendre's rule, from the lowest value to `critical`."""
    nodes, weights = _legendre()
    half = (critical - LOWEST) / 2
    return LOWEST + half * (nodes + 1), half * weights


@functools.cache
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights
