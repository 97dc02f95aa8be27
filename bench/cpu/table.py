"""A report on a CPU as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import geometric_mean

from distilforge.timing.cores import NEAR_FACTOR
from distilforge.timing.ratios import fewest_rounds
from distilforge.timing.rounds import Timing

from bench.contest.ratios import CONFIDENCE, Ratio
from bench.cpu.report import Report
from bench.models.sizes import operations
from bench.tables.contest_table import (
    MEGABYTES,
    MILLISECONDS,
    RATIO_NOTE,
    TERA,
    closing_sections,
    median_milliseconds,
    opening_sections,
    ratio_cell,
    refusals,
)
from bench.tables.markdown import cell, grid

SMALLEST_SHARE = 0.005
PEER_NOTE = (
    "Every subject runs in a process of its own, in turns with the others, on the same number of threads, from one "
    "file for all shapes. Each is set up as its documentation proposes for this machine:"
)


def markdown(report: Report) -> str:
    """The whole report."""
    contest = report.contest
    sections = [
        *opening_sections(contest),
        "## Milliseconds (median), texts x tokens",
        median_table(contest.timing, contest.names),
        *refusals(contest.timing),
        f"## Times faster than each peer ({RATIO_NOTE})",
        ratio_table(contest.timing, contest.ratios) if contest.judged else "Our file could not be made.",
        "## While the cores were apart",
        apart_table(contest.timing, contest.names),
        "## Operations",
        operation_table(report),
        "## Builds of one head",
        build_table(report),
        *closing_sections(contest, report.limits, PEER_NOTE),
    ]
    return "\n\n".join(sections) + "\n"


def median_table(timing: Timing, names: Sequence[str]) -> str:
    """A row per subject, a column per shape, and the geometric mean of subjects that took all shapes."""
    rows = []
    for name in names:
        medians = [median_milliseconds(timing, name, shape) for shape in timing.shapes]
        measured = [median for median in medians if median is not None]
        if measured:
            mean = geometric_mean(measured) if len(measured) == len(medians) else None
            rows.append([name, *(cell(median, ".2f") for median in (*medians, mean))])
    return grid(["", *map(str, timing.shapes), "mean"], rows)


def ratio_table(timing: Timing, ratios: Mapping[str, tuple[Ratio, ...]]) -> str:
    """A row per peer: its time over that of the judged row."""
    shapes = (*timing.shapes, None)
    rows = [[title, *(ratio_cell(to_peer, shape) for shape in shapes)] for title, to_peer in ratios.items()]
    return grid(["", *map(str, timing.shapes), "mean"], rows)


def apart_table(timing: Timing, names: Sequence[str]) -> str:
    """The rounds that the other tables leave out, and why."""
    steadiness = timing.steadiness
    if steadiness.round_trip_nanoseconds is None:
        return "Not measured."
    shortest, longest = steadiness.round_trip_nanoseconds
    if longest <= NEAR_FACTOR * shortest:
        return (
            f"They never were: a message from core to core and back took {shortest:.0f} to {longest:.0f} ns."
        )
    text = (
        f"A message from one core to the other and back took {shortest:.0f} ns at best. The cores count as apart in a "
        f"round if it took more than {NEAR_FACTOR:g} times as long before or after the round."
    )
    if not steadiness.apart:
        return f"{text} They were near each other in too few rounds: the tables contain all rounds."
    apart = len(steadiness.apart)
    text += f" They were apart in {apart} of {steadiness.rounds} rounds, which the tables above leave out."
    if apart < fewest_rounds(CONFIDENCE):
        return f"{text} These are too few for a table."
    return f"{text} The medians of these rounds:\n\n{median_table(_only_apart(timing), names)}"


def _only_apart(timing: Timing) -> Timing:
    """The timing with the rounds in which the cores were near each other left out."""
    near = tuple(set(range(timing.steadiness.rounds)) - set(timing.steadiness.apart))
    return replace(timing, steadiness=replace(timing.steadiness, apart=near))


def operation_table(report: Report) -> str:
    """What our file reaches of the ceiling at each shape, and which operators take the time of 8x128."""
    contest = report.contest
    lines = [
        f"Ceiling, a large u8s8 product through ONNX Runtime in this run: {contest.ceiling / TERA:.2f} TOP/s."
    ]
    if contest.judged is not None:
        rows = []
        for shape in contest.timing.shapes:
            median = median_milliseconds(contest.timing, contest.judged, shape)
            speed = None if median is None else MILLISECONDS * operations(shape) / median
            rows.append(
                [
                    str(shape),
                    cell(None if speed is None else speed / TERA, ".2f"),
                    cell(None if speed is None else speed / contest.ceiling, ".0%"),
                ]
            )
        lines.append(grid(["shape", "TOP/s", "of the ceiling"], rows))
        lines.append("The operations of all matrix products are counted, those of attention included.")
    if report.shares is not None:
        operators = ", ".join(
            f"{name} {share:.1%}" for name, share in report.shares.operators.items() if share > SMALLEST_SHARE
        )
        lines.append(
            f"Of the time of 8x128, matrix products take {report.shares.products:.1%} and attention kernels, which "
            f"contain two products and a softmax, {report.shares.attention:.1%}: {operators}."
        )
    return "\n\n".join(lines)


def build_table(report: Report) -> str:
    """The median time and the largest memory of each builder's builds."""
    rows = []
    for builder, builds in report.builds.items():
        seconds = [cost.seconds for cost in builds.costs]
        times = f"{builds.seconds:.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        rows.append([builder, str(len(seconds)), times, f"{builds.peak_bytes / MEGABYTES:.0f}"])
    size = "unknown" if report.int8_bytes is None else f"{report.int8_bytes / MEGABYTES:.1f} MB"
    return grid(["", "builds", "seconds, median (range)", "peak MB"], rows) + f"\n\nOur INT8 file: {size}."
