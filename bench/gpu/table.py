"""A report of a GPU as Markdown, which reads as well on a terminal."""

from distilforge.timing.shape import Shape

from bench import steady
from bench.gpu.report import EAGER, LARGE, SDPA, GpuReport, operations
from bench.gpu.shapes import DOCUMENTED
from bench.table import (
    MEGABYTES,
    MILLISECONDS,
    NOTHING,
    RATIO_NOTE,
    TERA,
    cell,
    grid,
    milliseconds,
    ratio_cell,
    refusals,
    settings,
    wanted,
)

GIGA = 1e9
DOCUMENTED_NOTE = (
    "As in Hugging Face's documentation of DistilBERT, whose latency per token is a batch's time over its tokens per "
    "text; its table was taken with a masked language model's head on a GeForce RTX 2060. Memory is the peak of "
    "torch's tensors, weights included."
)
PROCESS_NOTE = (
    "Every column runs in a process of its own, in turns with the others, on the same ids without padding; the device "
    "is kept busy for 50 ms before each turn, so that its clocks are up. Each is set up as its users would for speed:"
)
MEMORY_NOTE = (
    "Device memory taken since before a column's model was loaded, alone on the device, shapes from the smallest on; "
    "it holds what each runner keeps for later."
)


def markdown(report: GpuReport) -> str:
    """Everything that a reader wants to know, in sections."""
    parts = ["## Was it steady?", steady.markdown(report.timing.steadiness)]
    parts += ["## Eager and SDPA, fp16, as DistilBERT's documentation has it"]
    if {EAGER, SDPA} <= set(report.columns):
        parts += [documented(report), DOCUMENTED_NOTE]
    else:
        parts.append("Left out: it needs the columns eager and SDPA.")
    parts += [
        "## Milliseconds a batch (median), fp16",
        times(report, per_token=False),
        "## Milliseconds a token (median over all tokens of the batch), fp16",
        times(report, per_token=True),
        *refusals(report.timing),
        f"## Times faster than each column ({RATIO_NOTE})",
        ratios(report),
        "## Device memory, MB",
        memory(report),
        MEMORY_NOTE,
        "## Operations",
        reached(report),
        "## Wanted",
        wanted(report.wanted),
        "## Conditions",
        PROCESS_NOTE,
        settings(report.settings, report.differences),
        "\n".join(f"- {name}: {value}" for name, value in report.conditions.items()),
    ]
    if report.absent:
        parts += ["Left out:", "\n".join(f"- {row.name}: {row.reason}" for row in report.absent)]
    return "\n\n".join(parts) + "\n"


def documented(report: GpuReport) -> str:
    """The documentation's inference table, from the shapes of it that were timed."""
    header = (
        "batch_size seq_len|Per token latency eager (ms)|Per token latency SDPA (ms)|Speedup (%)|Mem eager (MB)|"
        "Mem SDPA (MB)|Mem saved (%)"
    )
    rows = []
    for shape in (shape for shape in DOCUMENTED if shape in report.timing.shapes):
        eager, sdpa = (_milliseconds_a_token(report, column, shape) for column in (EAGER, SDPA))
        held = [_allocated_megabytes(report, column, shape) for column in (EAGER, SDPA)]
        rows.append(
            [
                str(shape.batch),
                str(shape.tokens),
                cell(eager, ".4f"),
                cell(sdpa, ".4f"),
                _percent_more(eager, sdpa),
                *(cell(megabytes, ".1f") for megabytes in held),
                _percent_more(*held),
            ]
        )
    return grid([*header.split("|")[0].split(), *header.split("|")[1:]], rows)


def times(report: GpuReport, *, per_token: bool) -> str:
    """A row a shape, a column a subject."""
    rows = []
    for shape in report.timing.shapes:
        medians = [milliseconds(report.timing, column, shape) for column in report.columns]
        tokens = shape.batch * shape.tokens
        shown = [
            NOTHING if median is None else f"{median / tokens:.5f}" if per_token else f"{median:.3f}"
            for median in medians
        ]
        rows.append([*_sizes(shape), *shown])
    return grid(["batch", "tokens", *report.columns], rows)


def ratios(report: GpuReport) -> str:
    """A row a shape and the geometric mean: the time of each column over our engine's."""
    if report.ours is None:
        return "No engine could be run."
    rows = [
        [
            *(("mean", "") if shape is None else _sizes(shape)),
            *(ratio_cell(of_one, shape) for of_one in report.against.values()),
        ]
        for shape in (*report.timing.shapes, None)
    ]
    return f"Judged is {report.ours}.\n\n" + grid(["batch", "tokens", *report.against], rows)


def memory(report: GpuReport) -> str:
    """A row a shape, a column a subject."""
    rows = []
    for shape in report.timing.shapes:
        held = [report.memory.get((column, shape)) for column in report.columns]
        shown = [NOTHING if taken is None else f"{taken.device / MEGABYTES:.0f}" for taken in held]
        rows.append([*_sizes(shape), *shown])
    return grid(["batch", "tokens", *report.columns], rows)


def reached(report: GpuReport) -> str:
    """What every column reaches of the ceiling at each shape."""
    rows = []
    for shape in report.timing.shapes:
        at_ceiling = MILLISECONDS * operations(shape) / report.ceiling
        medians = [milliseconds(report.timing, column, shape) for column in report.columns]
        shares = [None if median is None else at_ceiling / median for median in medians]
        rows.append(
            [*_sizes(shape), f"{operations(shape) / GIGA:.1f}", *(cell(share, ".0%") for share in shares)]
        )
    limit = MILLISECONDS * operations(LARGE) / report.ceiling
    return (
        f"Ceiling, a large fp16 matrix product through torch in this run: {report.ceiling / TERA:.0f} TFLOP/s; "
        f"the {operations(LARGE) / GIGA:.0f} GFLOP of {LARGE} take {limit:.3f} ms at it.\n\n"
        + grid(["batch", "tokens", "GFLOP", *report.columns], rows)
    )


def _sizes(shape: Shape) -> tuple[str, str]:
    return str(shape.batch), str(shape.tokens)


def _milliseconds_a_token(report: GpuReport, column: str, shape: Shape) -> float | None:
    """As the documentation has it: the batch's time over the tokens of one text."""
    median = milliseconds(report.timing, column, shape)
    return None if median is None else median / shape.tokens


def _allocated_megabytes(report: GpuReport, column: str, shape: Shape) -> float | None:
    held = report.memory.get((column, shape))
    return None if held is None or held.allocated is None else held.allocated / MEGABYTES


def _percent_more(first: float | None, second: float | None) -> str:
    """How much more the first is than the second."""
    return NOTHING if first is None or not second else f"{100 * (first / second - 1):.1f}"
