"""The parts of a report in Markdown that CPU and GPU reports share."""

from collections.abc import Mapping, Sequence

from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.contest.contest import Contest
from bench.contest.limit import Limit
from bench.contest.ratios import CONFIDENCE, Ratio
from bench.tables import steadiness
from bench.tables.markdown import NOTHING, grid

MILLISECONDS, TERA, MEGABYTES = 1000, 1e12, 1e6
"""Milliseconds in a second, and the numbers that the prefixes stand for."""
RATIO_NOTE = "95% interval from order statistics of the rounds"


def opening_sections(contest: Contest) -> list[str]:
    """The paragraphs at the top of a report."""
    return ["## Was it steady?", steadiness.markdown(contest.timing.steadiness)]


def closing_sections(contest: Contest, limits: Sequence[Limit], note: str) -> list[str]:
    """The paragraphs at the end of a report: limits and conditions; `note` introduces the settings."""
    sections = [
        "## Limits",
        limit_table(limits),
        "## Conditions",
        note,
        _settings(contest.settings, contest.differences),
        "\n".join(f"- {name}: {value}" for name, value in contest.conditions.items()),
    ]
    if contest.omissions:
        lines = (f"- {omission.name}: {omission.reason}" for omission in contest.omissions)
        sections += ["Left out:", "\n".join(lines)]
    return sections


def median_milliseconds(timing: Timing, name: str, shape: Shape) -> float | None:
    """The median of a run of the row `name`; None if the row was not timed at `shape`."""
    seconds = timing.seconds(name, shape, confidence=CONFIDENCE)
    return None if seconds is None else MILLISECONDS * seconds.value


def refusals(timing: Timing) -> list[str]:
    """A paragraph that explains each dash in the tables; empty if there are no dashes."""
    if not timing.refusals:
        return []
    lines = (f"- {name} at {shape}: {reason}" for (name, shape), reason in timing.refusals.items())
    return [f"{NOTHING} stands where a subject does not take the shape:\n\n" + "\n".join(lines)]


def ratio_cell(ratios: Sequence[Ratio], shape: Shape | None) -> str:
    """The ratio at `shape` with its interval; None means the geometric mean over all shapes."""
    ratio = next((ratio for ratio in ratios if ratio.shape == shape), None)
    if ratio is None:
        return NOTHING
    if ratio.estimate.interval is None:
        return f"{ratio.value:.2f} (too few rounds)"
    return "{:.2f} ({:.2f} to {:.2f})".format(ratio.value, *ratio.estimate.interval)


def limit_table(limits: Sequence[Limit]) -> str:
    """Each limit with the observed number."""
    rows = []
    for limit in limits:
        bound = f"at least {limit.at_least:g}" if limit.at_least is not None else f"at most {limit.at_most:g}"
        observed = "not measured" if limit.observed is None else f"{limit.observed:.3g} {limit.unit}"
        rows.append([limit.what, observed, f"{bound} {limit.unit}", "met" if limit else "missed"])
    return grid(["", "observed", "limit", ""], rows)


def _settings(settings: Mapping[str, str], differences: Mapping[str, float]) -> str:
    """How each row is set up, and how far its answers are from those of eager PyTorch."""
    return "\n".join(
        f"- {name}: {text}"
        + (f" (largest difference from eager: {differences[name]:.1e})" if name in differences else "")
        for name, text in settings.items()
    )
