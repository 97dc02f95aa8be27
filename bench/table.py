"""A report as Markdown, which reads as well on a terminal."""

from collections.abc import Mapping, Sequence
from statistics import geometric_mean

from bench.contest import Contest
from bench.cores import NEAR
from bench.ratios import Ratio, Wanted
from bench.report import Report
from bench.rounds import Rounds
from bench.shapes import Shape
from bench.sizes import attention_operations, linear_operations

MILLISECONDS, TERA, MEGABYTES = 1000, 1e12, 1e6
PEER_NOTE = (
    "Every subject runs in a process of its own, in turns with the others, on the same threads, one file for all "
    "shapes. Each is set up as its documentation proposes for this machine:"
)


def markdown(report: Report) -> str:
    """Everything that a reader wants to know, in sections."""
    parts = [
        "## Milliseconds (median), texts x tokens",
        medians(report.rounds.near),
        "## Times faster than each peer (95% bootstrap interval)",
        ratios(report.rounds.near, report.against) if report.ours else "Our file could not be made.",
        "## While the cores were apart",
        apart(report.rounds),
        "## Operations",
        operations(report),
        "## Builds of one head",
        builds(report),
        "## Wanted",
        wanted(report.wanted),
        "## Conditions",
        PEER_NOTE,
        "\n".join(f"- {name}: {text}{_difference(report, name)}" for name, text in report.settings.items()),
        "\n".join(f"- {name}: {value}" for name, value in report.conditions.items()),
    ]
    if report.absent:
        parts += ["Left out:", "\n".join(f"- {one.name}: {one.reason}" for one in report.absent)]
    return "\n\n".join(parts) + "\n"


def medians(contest: Contest) -> str:
    """A row a subject, a column a shape, and the geometric mean."""
    names = tuple(dict.fromkeys(one.contestant for one in contest.samples))
    rows = []
    for name in names:
        found = [MILLISECONDS * contest.of(name, shape).median for shape in contest.shapes]
        rows.append([name, *(f"{median:.2f}" for median in (*found, geometric_mean(found)))])
    return grid(["", *map(str, contest.shapes), "mean"], rows)


def ratios(contest: Contest, against: Mapping[str, tuple[Ratio, ...]]) -> str:
    """A row a peer: its time over ours."""
    rows = [
        [title, *(f"{one.value:.2f} ({one.interval[0]:.2f} to {one.interval[1]:.2f})" for one in found)]
        for title, found in against.items()
    ]
    return grid(["", *map(str, contest.shapes), "mean"], rows)


def apart(rounds: Rounds) -> str:
    """The rounds that the tables above leave out, and why."""
    if rounds.shortest is None:
        return "Not measured."
    counts = ", ".join(f"{near} of {every} at {shape}" for shape, (near, every) in rounds.counts.items())
    text = (
        f"The rounds above had the two cores near each other ({counts}): a message from one to the other and back "
        f"took at most {NEAR:g} times the shortest in this run, {rounds.shortest:.0f} ns, before and after the round."
    )
    if rounds.mixed:
        text += (
            f" Too few were so at {', '.join(map(str, rounds.mixed))}, of which the tables have all rounds."
        )
    if not rounds.apart.shapes:
        return f"{text} No shape had five others."
    return f"{text} In the others, medians were:\n\n{medians(rounds.apart)}"


def operations(report: Report) -> str:
    """What our file reaches at each shape against the ceiling, and where the time of 8x128 goes."""
    lines = [
        f"Ceiling, a large u8s8 product through ONNX Runtime in this run: {report.ceiling / TERA:.2f} TOP/s."
    ]
    if report.ours is not None:
        rows = []
        for shape in report.rounds.near.shapes:
            reached = _operations(shape) / report.rounds.near.of(report.ours, shape).median
            rows.append([str(shape), f"{reached / TERA:.2f}", f"{reached / report.ceiling:.0%}"])
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


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned in plain text too."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def _operations(shape: Shape) -> int:
    return linear_operations(shape.batch * shape.tokens) + attention_operations(shape.batch, shape.tokens)


def _difference(report: Report, name: str) -> str:
    found = report.differences.get(name)
    return "" if found is None else f" (largest difference from eager: {found:.1e})"
