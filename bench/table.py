"""A report as Markdown, which reads as well on a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import geometric_mean

from distilforge.timing.cores import NEAR_FACTOR
from distilforge.timing.ratios import fewest_rounds
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench import steady
from bench.ratios import CONFIDENCE, Ratio, Wanted
from bench.report import Report
from bench.sizes import attention_operations, linear_operations

MILLISECONDS, TERA, MEGABYTES = 1000, 1e12, 1e6
RATIO_NOTE = "95% interval from order statistics of the rounds"
NOTHING = "-"
PEER_NOTE = (
    "Every subject runs in a process of its own, in turns with the others, on the same threads, one file for all "
    "shapes. Each is set up as its documentation proposes for this machine:"
)


def markdown(report: Report) -> str:
    """Everything that a reader wants to know, in sections."""
    timing = report.timing
    parts = [
        "## Was it steady?",
        steady.markdown(timing.steadiness),
        "## Milliseconds (median), texts x tokens",
        medians(timing, report.names),
        *refusals(timing),
        f"## Times faster than each peer ({RATIO_NOTE})",
        ratios(timing, report.against) if report.ours else "Our file could not be made.",
        "## While the cores were apart",
        apart(timing, report.names),
        "## Operations",
        operations(report),
        "## Builds of one head",
        builds(report),
        "## Wanted",
        wanted(report.wanted),
        "## Conditions",
        PEER_NOTE,
        settings(report.settings, report.differences),
        "\n".join(f"- {name}: {value}" for name, value in report.conditions.items()),
    ]
    if report.absent:
        parts += ["Left out:", "\n".join(f"- {row.name}: {row.reason}" for row in report.absent)]
    return "\n\n".join(parts) + "\n"


def medians(timing: Timing, names: Sequence[str]) -> str:
    """A row a subject, a column a shape, and the geometric mean where it took all shapes."""
    rows = []
    for name in names:
        taken = [milliseconds(timing, name, shape) for shape in timing.shapes]
        told = [median for median in taken if median is not None]
        if told:
            mean = geometric_mean(told) if len(told) == len(taken) else None
            rows.append([name, *(cell(median, ".2f") for median in (*taken, mean))])
    return grid(["", *map(str, timing.shapes), "mean"], rows)


def milliseconds(timing: Timing, name: str, shape: Shape) -> float | None:
    """The median of a run; None where the subject was not timed at the shape."""
    seconds = timing.seconds(name, shape, confidence=CONFIDENCE)
    return None if seconds is None else MILLISECONDS * seconds.value


def refusals(timing: Timing) -> list[str]:
    """A paragraph that says what each dash in the tables stands for; none where there is none."""
    if not timing.refusals:
        return []
    lines = (f"- {name} at {shape}: {reason}" for (name, shape), reason in timing.refusals.items())
    return [f"{NOTHING} stands where a subject does not take the shape:\n\n" + "\n".join(lines)]


def ratios(timing: Timing, against: Mapping[str, tuple[Ratio, ...]]) -> str:
    """A row a peer: its time over ours."""
    shapes = (*timing.shapes, None)
    rows = [[title, *(ratio_cell(of_one, shape) for shape in shapes)] for title, of_one in against.items()]
    return grid(["", *map(str, timing.shapes), "mean"], rows)


def ratio_cell(ratios: Sequence[Ratio], shape: Shape | None) -> str:
    """The ratio at `shape`, or over all shapes for None, with its interval."""
    ratio = next((ratio for ratio in ratios if ratio.shape == shape), None)
    if ratio is None:
        return NOTHING
    if ratio.estimate.interval is None:
        return f"{ratio.value:.2f} (too few rounds)"
    return "{:.2f} ({:.2f} to {:.2f})".format(ratio.value, *ratio.estimate.interval)


def cell(number: float | None, form: str) -> str:
    """The number in the given form, or a dash."""
    return NOTHING if number is None else format(number, form)


def apart(timing: Timing, names: Sequence[str]) -> str:
    """The rounds that the tables above leave out, and why."""
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
        f"round before or after which it took more than {NEAR_FACTOR:g} times that."
    )
    if not steadiness.apart:
        return f"{text} Too few rounds had them near each other: the tables have all rounds."
    text += f" So they were in {len(steadiness.apart)} of {steadiness.rounds} rounds, which the tables above leave out."
    if len(steadiness.apart) < fewest_rounds(CONFIDENCE):
        return f"{text} These are too few for a table."
    return f"{text} In these, medians were:\n\n{medians(_while_apart(timing), names)}"


def _while_apart(timing: Timing) -> Timing:
    """The timing with the other rounds left out."""
    near = tuple(set(range(timing.steadiness.rounds)) - set(timing.steadiness.apart))
    return replace(timing, steadiness=replace(timing.steadiness, apart=near))


def operations(report: Report) -> str:
    """What our file reaches at each shape against the ceiling, and where the time of 8x128 goes."""
    lines = [
        f"Ceiling, a large u8s8 product through ONNX Runtime in this run: {report.ceiling / TERA:.2f} TOP/s."
    ]
    if report.ours is not None:
        rows = []
        for shape in report.timing.shapes:
            median = milliseconds(report.timing, report.ours, shape)
            reached = None if median is None else MILLISECONDS * _operations(shape) / median
            rows.append(
                [
                    str(shape),
                    cell(None if reached is None else reached / TERA, ".2f"),
                    cell(None if reached is None else reached / report.ceiling, ".0%"),
                ]
            )
        lines.append(grid(["shape", "TOP/s", "of the ceiling"], rows))
        lines.append("Counted are the operations of all matrix products, attention's included.")
    if report.share is not None:
        operators = ", ".join(
            f"{name} {part:.1%}" for name, part in report.share.operators.items() if part > 0.005
        )
        lines.append(
            f"Of the time of 8x128, matrix products take {report.share.products:.1%} and attention kernels, which "
            f"hold two products and a softmax, {report.share.attention:.1%}: {operators}."
        )
    return "\n\n".join(lines)


def builds(report: Report) -> str:
    """Median time and largest memory of builds in fresh processes."""
    rows = []
    for which, made in report.builds.items():
        seconds = [cost.seconds for cost in made.costs]
        times = f"{made.seconds:.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        rows.append([which, str(len(seconds)), times, f"{made.peak_bytes / MEGABYTES:.0f}"])
    size = "unknown" if report.int8_bytes is None else f"{report.int8_bytes / MEGABYTES:.1f} MB"
    return grid(["", "builds", "seconds, median (range)", "peak MB"], rows) + f"\n\nOur INT8 file: {size}."


def wanted(limits: Sequence[Wanted]) -> str:
    """Each limit with what was observed."""
    rows = []
    for one in limits:
        limit = f"at least {one.at_least:g}" if one.at_least is not None else f"at most {one.at_most:g}"
        observed = "not measured" if one.observed is None else f"{one.observed:.3g} {one.unit}"
        rows.append([one.what, observed, f"{limit} {one.unit}", "met" if one else "missed"])
    return grid(["", "observed", "wanted", ""], rows)


def settings(settings: Mapping[str, str], differences: Mapping[str, float]) -> str:
    """How each row is set up, and how far its answers are from eager's."""
    return "\n".join(
        f"- {name}: {text}"
        + (f" (largest difference from eager: {differences[name]:.1e})" if name in differences else "")
        for name, text in settings.items()
    )


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned in plain text too."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def _operations(shape: Shape) -> int:
    return linear_operations(shape.batch * shape.tokens) + attention_operations(shape.batch, shape.tokens)
