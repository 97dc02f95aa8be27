"""A report on a GPU as Markdown."""

from collections.abc import Mapping, Sequence

from distilforge.timing.shape import Shape

from bench.contest.contest import Contest
from bench.contest.ratios import Ratio
from bench.gpu.report import EAGER, LARGE, SDPA, GpuReport
from bench.gpu.shapes import DOCUMENTED
from bench.gpu.subjects import COPIES
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
from bench.tables.markdown import NOTHING, cell, grid

GIGA = 1e9
DOCUMENTED_NOTE = (
    "As in Hugging Face's documentation of DistilBERT, where the latency per token is the time of a batch over the "
    "tokens of one text. The table there was taken with a masked language model's head on a GeForce RTX 2060. Memory "
    "is the peak of PyTorch's tensors, weights included."
)
PROCESS_NOTE = (
    "Every column runs in a process of its own, in turns with the others, on the same ids without padding. The device "
    "is kept busy for 50 ms before each turn, so that its clocks are up. Each column is set up as its users would for "
    "speed:"
)
MEMORY_NOTE = (
    "Device memory that was taken since the column began to load its model, while it is alone on the device. The "
    "shapes are measured from the smallest to the largest, and memory that a runner keeps for later is included."
)
MEMORY_LEFT_OUT = "It was left out with --without-memory."


def markdown(report: GpuReport) -> str:
    """The whole report."""
    contest = report.contest
    sections = [*opening_sections(contest), "## Eager and SDPA, fp16, as in DistilBERT's documentation"]
    if {EAGER, SDPA} <= set(contest.names):
        sections += [documented_table(report), DOCUMENTED_NOTE]
    else:
        sections.append("Left out: it needs the columns eager and SDPA.")
    sections += [
        "## Milliseconds per batch (median), fp16",
        time_table(contest, per_token=False),
        "## Milliseconds per token (median over all tokens of the batch), fp16",
        time_table(contest, per_token=True),
        *refusals(contest.timing),
        f"## Times faster than each column ({RATIO_NOTE})",
        ratio_table(contest),
        *copies_sections(report),
        "## Device memory, MB",
        memory_table(report),
        MEMORY_NOTE if report.memory else MEMORY_LEFT_OUT,
        "## Operations",
        operation_table(contest),
        *closing_sections(contest, report.limits, PROCESS_NOTE),
    ]
    return "\n\n".join(sections) + "\n"


def documented_table(report: GpuReport) -> str:
    """The inference table of the documentation, for those of its shapes that were timed."""
    header = (
        "batch_size|seq_len|Per token latency eager (ms)|Per token latency SDPA (ms)|Speedup (%)|Mem eager (MB)|"
        "Mem SDPA (MB)|Mem saved (%)"
    )
    rows = []
    for shape in (shape for shape in DOCUMENTED if shape in report.contest.timing.shapes):
        eager, sdpa = (_documented_milliseconds(report.contest, column, shape) for column in (EAGER, SDPA))
        memory = [_allocated_megabytes(report, column, shape) for column in (EAGER, SDPA)]
        rows.append(
            [
                *_sizes(shape),
                cell(eager, ".4f"),
                cell(sdpa, ".4f"),
                _percent_more(eager, sdpa),
                *(cell(megabytes, ".1f") for megabytes in memory),
                _percent_more(*memory),
            ]
        )
    return grid(header.split("|"), rows)


def time_table(contest: Contest, *, per_token: bool) -> str:
    """Median times: a row per shape, a column per subject."""
    rows = []
    for shape in contest.timing.shapes:
        divisor, form = (shape.batch * shape.tokens, ".5f") if per_token else (1, ".3f")
        medians = [median_milliseconds(contest.timing, column, shape) for column in contest.names]
        cells = [cell(None if median is None else median / divisor, form) for median in medians]
        rows.append([*_sizes(shape), *cells])
    return grid(["batch", "tokens", *contest.names], rows)


def ratio_table(contest: Contest) -> str:
    """The time of each column over that of our engine: a row per shape, and one for the geometric mean."""
    if contest.judged is None:
        return "No variant of this project could be run."
    on_device = {name: ratios for name, ratios in contest.ratios.items() if not name.endswith(COPIES)}
    return (
        f"The judged column is {contest.judged}; inputs and outputs are on the device, for every column.\n\n"
        + _ratio_grid(contest, on_device)
    )


def copies_sections(report: GpuReport) -> list[str]:
    """The ratios between columns that copy their inputs to the device and their logits back, if there are any."""
    if not report.with_copies:
        return []
    return [
        f"## Times faster than each column, copies included ({RATIO_NOTE})",
        _ratio_grid(report.contest, report.with_copies),
    ]


def _ratio_grid(contest: Contest, ratios: Mapping[str, Sequence[Ratio]]) -> str:
    rows = [
        [
            *(("mean", "") if shape is None else _sizes(shape)),
            *(ratio_cell(to_column, shape) for to_column in ratios.values()),
        ]
        for shape in (*contest.timing.shapes, None)
    ]
    return grid(["batch", "tokens", *ratios], rows)


def memory_table(report: GpuReport) -> str:
    """Device memory: a row per shape, a column per subject; dashes where it was not measured."""
    columns = report.contest.names
    rows = []
    for shape in report.contest.timing.shapes:
        memories = [report.memory.get((column, shape)) for column in columns]
        cells = [cell(None if memory is None else memory.device / MEGABYTES, ".0f") for memory in memories]
        rows.append([*_sizes(shape), *cells])
    return grid(["batch", "tokens", *columns], rows)


def operation_table(contest: Contest) -> str:
    """What every column reaches of the ceiling at each shape."""
    rows = []
    for shape in contest.timing.shapes:
        at_ceiling = MILLISECONDS * operations(shape) / contest.ceiling
        medians = [median_milliseconds(contest.timing, column, shape) for column in contest.names]
        shares = [None if median is None else at_ceiling / median for median in medians]
        rows.append(
            [*_sizes(shape), f"{operations(shape) / GIGA:.1f}", *(cell(share, ".0%") for share in shares)]
        )
    at_ceiling = MILLISECONDS * operations(LARGE) / contest.ceiling
    return (
        f"Ceiling, a large fp16 matrix product through torch in this run: {contest.ceiling / TERA:.0f} TFLOP/s. "
        f"At this speed, the {operations(LARGE) / GIGA:.0f} GFLOP of {LARGE} take {at_ceiling:.3f} ms.\n\n"
        + grid(["batch", "tokens", "GFLOP", *contest.names], rows)
    )


def _sizes(shape: Shape) -> tuple[str, str]:
    return str(shape.batch), str(shape.tokens)


def _documented_milliseconds(contest: Contest, column: str, shape: Shape) -> float | None:
    """Milliseconds per token as the documentation defines them: the time of a batch over the tokens of one text."""
    median = median_milliseconds(contest.timing, column, shape)
    return None if median is None else median / shape.tokens


def _allocated_megabytes(report: GpuReport, column: str, shape: Shape) -> float | None:
    memory = report.memory.get((column, shape))
    return None if memory is None or memory.allocated is None else memory.allocated / MEGABYTES


def _percent_more(first: float | None, second: float | None) -> str:
    """By how many percent `first` exceeds `second`."""
    return NOTHING if first is None or not second else f"{100 * (first / second - 1):.1f}"
