"""One contest: prepared subjects are timed in turns, and one of them is compared with all others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject

from bench.contest import differences
from bench.contest.ratios import CONFIDENCE, Ratio, ratios
from bench.contest.rows import Omission, Row, time_rows

Choose = Callable[[Timing, Sequence[str]], str | None]
"""Which of the candidates that were timed is judged; None if there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The result of a contest."""

    conditions: Mapping[str, str]
    """The machine, the versions and the date, by name."""
    settings: Mapping[str, str]
    """How each row is set up, in the order of the tables."""
    timing: Timing
    """Every run, and whether the runs were steady."""
    differences: Mapping[str, float]
    """The largest difference of a row's logits from the reference, by row."""
    omissions: tuple[Omission, ...]
    """The rows that are left out."""
    judged: str | None
    """The row of this project that is compared with the others; None if it could not be timed."""
    ratios: Mapping[str, tuple[Ratio, ...]]
    """The time of every opponent over that of the judged row."""
    ceiling: float
    """Operations per second of a large matrix product on this machine."""

    @property
    def names(self) -> tuple[str, ...]:
        """The rows, in the order of the tables."""
        return tuple(self.settings)


def first(timing: Timing, names: Sequence[str]) -> str | None:
    """The first of `names`, however fast it is."""
    del timing
    return next(iter(names), None)


def fastest(timing: Timing, names: Sequence[str]) -> str | None:
    """The one of `names` with the lowest geometric mean over all shapes, as `distilforge.open` chooses a variant.

    Names that did not take a shape come last, in their order.
    """

    def mean(name: str) -> float:
        seconds = [timing.seconds(name, shape, confidence=CONFIDENCE) for shape in timing.shapes]
        measured = [estimate.value for estimate in seconds if estimate is not None]
        return geometric_mean(measured) if measured and len(measured) == len(seconds) else float("inf")

    return min(names, key=mean, default=None)


def hold(
    rows: Sequence[Row],
    omissions: Sequence[Omission],
    *,
    candidates: Sequence[str],
    choose: Choose = first,
    reference: str,
    subject: Callable[[Row], Subject],
    shapes: Sequence[Shape],
    seconds: float,
    measure_ceiling: Callable[[], float],
    conditions: Mapping[str, str],
    progress: Callable[[str], None],
) -> Contest:
    """Time `rows` at `shapes` for `seconds` each, and compare one of `candidates` that ran with the others.

    It is the one that `choose` names, by default the first.

    `omissions` are the rows that were left out before. The logits of all rows are compared with those of the row
    `reference`. `subject` makes a row ready for the timing engine. The ceiling is the highest of a measurement before
    the timing and one after it.
    """
    before = measure_ceiling()
    expected = next(iter(_present(candidates, rows)), None)
    # The timing goes on until the ratios to its first subject are known
    judged_first = sorted(rows, key=lambda row: row.name != expected)
    timing, dead = time_rows([subject(row) for row in judged_first], shapes, seconds, progress=progress)
    survivors = [row for row in rows if row.name not in {omission.name for omission in dead}]
    judged, to_opponents = compare(timing, survivors, candidates, choose=choose)
    return Contest(
        conditions=conditions,
        settings={row.name: row.settings for row in survivors},
        timing=timing,
        differences=differences.largest(timing, reference),
        omissions=(*omissions, *dead),
        judged=judged,
        ratios=to_opponents,
        ceiling=max(before, measure_ceiling()),
    )


def compare(
    timing: Timing, rows: Sequence[Row], candidates: Sequence[str], *, choose: Choose = first
) -> tuple[str | None, dict[str, tuple[Ratio, ...]]]:
    """One of `candidates` among `rows`, and its ratios by opponent; presets of one peer are one opponent."""
    judged = choose(timing, _present(candidates, rows))
    if judged is None:
        return None, {}
    families: dict[str, list[str]] = {}
    for row in rows:
        if row.name != judged:
            families.setdefault(row.family, []).append(row.name)
    return judged, {title: ratios(timing, judged, names, title=title) for title, names in families.items()}


def _present(candidates: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Those of `candidates` that are among `rows`, in their order."""
    names = {row.name for row in rows}
    return [candidate for candidate in candidates if candidate in names]
