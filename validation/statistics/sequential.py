"""When accuracy is judged, and the critical value of each look, which keep the confidence of all looks together.

This is a group-sequential test. It spends its error probability over the looks (Lan and DeMets 1983), by a power of the
share of examples that are answered (Kim and DeMets 1987). Jennison and Turnbull (2000) describe both in chapters 7 and
19.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from validation.statistics import normal
from validation.statistics.metrics import Array
from validation.statistics.noninferiority import smallest_upper_end

# With this power, the first 500 of 1,500 examples can show a loss below 1 point (464 are enough), and the last look
# needs little more than a single look would: 1.79 standard errors instead of 1.64.
POWER = 1.5
# A standard normal value is lower with a probability of 1e-19, which is too small to change a critical value.
LOWEST = -9.0
# Of the Gauss-Legendre rule. With so many, the critical values agree with published ones to all three digits.
NODES = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A moment at which accuracy is judged."""

    examples: int
    """How many examples have been answered."""
    of: int
    """How many examples there are."""
    critical: float
    """By how many standard errors the loss must be within the margin."""


def single_look(examples: int, confidence: float) -> Look:
    """One look at all of `examples`, one-sided at `confidence`."""
    return Look(examples=examples, of=examples, critical=normal.quantile(confidence))


def plan_looks(examples: int, *, count: int, margin: float, confidence: float) -> tuple[Look, ...]:
    """At most `count` looks after equal parts of `examples`, the last at all of them.

    A look is left out if not even a variant that answers as eager PyTorch does could pass it. Its share of the error
    probability is left for the later looks. This depends on the arguments alone, and so not on any answer.
    """
    ends = sorted({round(examples * number / count) for number in range(1, count + 1)} - {0, 1} | {examples})
    while True:
        shares = np.asarray(ends) / examples
        criticals = critical_values(tuple(map(float, shares)), spending(shares, 1 - confidence))
        futile = [
            end
            for end, critical in zip(ends[:-1], criticals[:-1], strict=True)
            if smallest_upper_end(end, critical) > margin
        ]
        if not futile:
            return tuple(
                Look(examples=end, of=examples, critical=critical)
                for end, critical in zip(ends, criticals, strict=True)
            )
        ends.remove(futile[0])


def spending(shares: Array, alpha: float) -> tuple[float, ...]:
    """How much of the error probability `alpha` may be spent up to each of `shares` of the examples."""
    return tuple(map(float, alpha * shares**POWER))


@functools.lru_cache(maxsize=256)
def critical_values(shares: tuple[float, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """The critical value of each look, so that the probability of having passed by then is as in `spent`.

    `shares` of the information rise to 1. On the margin, the statistics of the looks are jointly normal with unit
    variance and the covariance sqrt(earlier / later).
    """
    first = -normal.quantile(spent[0])
    criticals, density = [first], _first_density(shares[0], first)
    for share, probability in zip(shares[1:], np.diff(spent), strict=True):
        critical = density.critical(share, float(probability))
        density = density.after(share, critical)
        criticals.append(critical)
    return tuple(criticals)


def passing_probabilities(shares: Sequence[float], criticals: Sequence[float]) -> tuple[float, ...]:
    """The probability, on the margin, of passing at each look and at none before it."""
    probabilities = [normal.upper_tail(criticals[0])]
    density = _first_density(shares[0], criticals[0])
    for share, critical in zip(shares[1:], criticals[1:], strict=True):
        probabilities.append(density.passing(share, critical))
        density = density.after(share, critical)
    return tuple(probabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Density:
    """The density of a look's statistic where no look was passed, for numerical integration.

    It is carried from look to look as Armitage, McPherson and Rowe (1969) do.
    """

    share: float
    """The share of the information at the look."""
    nodes: Array
    """Values of the statistic."""
    masses: Array
    """The density at each node, times the node's weight in the integral."""

    def passing(self, share: float, critical: float) -> float:
        """The probability of reaching `critical` at the look after `share` of the information."""
        correlation, new = self._step(share)
        return float(self.masses @ normal.upper_tails((critical - correlation * self.nodes) / new))

    def critical(self, share: float, probability: float) -> float:
        """The value that is reached with `probability` at that look."""
        from scipy import optimize  # slow to import, and most builds have nothing to do

        return float(optimize.brentq(lambda value: self.passing(share, value) - probability, LOWEST, -LOWEST))

    def after(self, share: float, critical: float) -> "_Density":
        """The density at that look, where `critical` is not reached."""
        correlation, new = self._step(share)
        nodes, weights = _quadrature(critical)
        densities = normal.densities((nodes[:, None] - correlation * self.nodes) / new) / new
        return _Density(share=share, nodes=nodes, masses=weights * (densities @ self.masses))

    def _step(self, share: float) -> tuple[float, float]:
        """The correlation with the statistic after `share`, and the standard deviation of what is new in that one."""
        correlation = float(np.sqrt(self.share / share))
        return correlation, float(np.sqrt(1 - correlation**2))


def _first_density(share: float, critical: float) -> _Density:
    nodes, weights = _quadrature(critical)
    return _Density(share=share, nodes=nodes, masses=weights * normal.densities(nodes))


def _quadrature(critical: float) -> tuple[Array, Array]:
    """Nodes and weights of the Gauss-Legendre rule, from the lowest value to `critical`."""
    nodes, weights = _legendre()
    half = (critical - LOWEST) / 2
    return LOWEST + half * (nodes + 1), half * weights


@functools.cache
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights
