"""A contest's rounds by whether the cores were near each other, which costs subjects differently.

Those that keep larger values between operations lose more while the cores share no cache, and a hypervisor may move
them in the middle of a run. So rounds of either kind stand in tables of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.contest import FEWEST_ROUNDS, Contest
from bench.cores import is_near, shortest
from bench.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """A contest in two. shortest: of all round trips, None where none was measured; counts: rounds near, and all."""

    near: Contest
    apart: Contest
    shortest: float | None
    counts: Mapping[Shape, tuple[int, int]]

    @property
    def mixed(self) -> tuple[Shape, ...]:
        """The shapes that had too few near rounds, and have all their rounds in `near`."""
        return tuple(shape for shape, (near, _) in self.counts.items() if near < FEWEST_ROUNDS)


def divide(contest: Contest) -> Rounds:
    """The rounds before and after which the cores were near, and the others.

    A shape with fewer than 5 of a kind has none of it; without near ones, all of its rounds count as such.
    """
    best = shortest(contest.round_trips.values())
    near: dict[Shape, tuple[bool, ...]] = {}
    counts: dict[Shape, tuple[int, int]] = {}
    for shape in contest.shapes:
        rounds = len(next(one.turns for one in contest.samples if one.shape == shape))
        taken = contest.round_trips.get(shape, ())
        flags = (True,) * rounds if best is None else tuple(is_near(trip, best) for trip in taken)
        counts[shape] = sum(flags), rounds
        near[shape] = flags if sum(flags) >= FEWEST_ROUNDS else (True,) * rounds
    return Rounds(
        near=_only(contest, near),
        apart=_only(contest, {shape: tuple(not flag for flag in flags) for shape, flags in near.items()}),
        shortest=best,
        counts=counts,
    )


def _only(contest: Contest, kept: Mapping[Shape, tuple[bool, ...]]) -> Contest:
    """The rounds that are `kept`, of the shapes that have enough of them."""
    return replace(
        contest,
        samples=tuple(
            replace(
                one, turns=tuple(turn for turn, keep in zip(one.turns, kept[one.shape], strict=True) if keep)
            )
            for one in contest.samples
            if sum(kept[one.shape]) >= FEWEST_ROUNDS
        ),
    )
