"""A report of a GPU as Markdown, which reads as well on a terminal."""

from bench.gpu.report import EAGER, LARGE, SDPA, GpuReport, operations
from bench.gpu.shapes import DOCUMENTED
from bench.shapes import Shape
from bench.table import MEGABYTES, MILLISECONDS, TERA, grid, wanted

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
    parts = ["## Eager and SDPA, fp16, as DistilBERT's documentation has it"]
    if {EAGER, SDPA} <= set(report.columns):
        parts += [documented(report), DOCUMENTED_NOTE]
    else:
        parts.append("Left out: it needs the columns eager and SDPA.")
    parts += [
        "## Milliseconds a batch (median), fp16",
        times(report, per_token=False),
        "## Milliseconds a token (median over all tokens of the batch), fp16",
        times(report, per_token=True),
        "## Times faster than each column (95% bootstrap interval)",
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
        "\n".join(f"- {name}: {text}{_difference(report, name)}" for name, text in report.settings.items()),
        "\n".join(f"- {name}: {value}" for name, value in report.conditions.items()),
    ]
    if report.absent:
        parts += ["Left out:", "\n".join(f"- {one.name}: {one.reason}" for one in report.absent)]
    return "\n\n".join(parts) + "\n"


def documented(report: GpuReport) -> str:
    """The documentation's inference table, from the shapes of it that were timed."""
    header = (
        "batch_size seq_len|Per token latency eager (ms)|Per token latency SDPA (ms)|Speedup (%)|Mem eager (MB)|"
        "Mem SDPA (MB)|Mem saved (%)"
    )
    rows = []
    for shape in (one for one in DOCUMENTED if one in report.contest.shapes):
        seconds = [report.contest.of(column, shape).median for column in (EAGER, SDPA)]
        eager, sdpa = (MILLISECONDS * each / shape.tokens for each in seconds)
        held = [report.memory[column, shape].allocated or 0 for column in (EAGER, SDPA)]
        rows.append(
            [
                str(shape.batch),
                str(shape.tokens),
                f"{eager:.4f}",
                f"{sdpa:.4f}",
                f"{100 * (eager / sdpa - 1):.1f}",
                *(f"{each / MEGABYTES:.1f}" for each in held),
                f"{100 * (held[0] / held[1] - 1):.1f}" if held[1] else "-",
            ]
        )
    return grid([*header.split("|")[0].split(), *header.split("|")[1:]], rows)


def times(report: GpuReport, *, per_token: bool) -> str:
    """A row a shape, a column a subject."""
    rows = []
    for shape in report.contest.shapes:
        medians = [MILLISECONDS * report.contest.of(column, shape).median for column in report.columns]
        shown = [
            f"{each / (shape.batch * shape.tokens):.5f}" if per_token else f"{each:.3f}" for each in medians
        ]
        rows.append([*_sizes(shape), *shown])
    return grid(["batch", "tokens", *report.columns], rows)


def ratios(report: GpuReport) -> str:
    """A row a shape and the geometric mean: the time of each column over our engine's."""
    if report.ours is None:
        return "No engine could be run."
    titles = tuple(report.against)
    rows = []
    for shape in (*report.contest.shapes, None):
        found = [next(one for one in report.against[title] if one.shape == shape) for title in titles]
        shown = [f"{one.value:.2f} ({one.interval[0]:.2f} to {one.interval[1]:.2f})" for one in found]
        rows.append([*(("mean", "") if shape is None else _sizes(shape)), *shown])
    return f"Judged is {report.ours}.\n\n" + grid(["batch", "tokens", *titles], rows)


def memory(report: GpuReport) -> str:
    """A row a shape, a column a subject."""
    rows = [
        [
            *_sizes(shape),
            *(f"{report.memory[column, shape].device / MEGABYTES:.0f}" for column in report.columns),
        ]
        for shape in report.contest.shapes
    ]
    return grid(["batch", "tokens", *report.columns], rows)


def reached(report: GpuReport) -> str:
    """What every column reaches of the ceiling at each shape."""
    rows = []
    for shape in report.contest.shapes:
        shares = [
            operations(shape) / report.contest.of(column, shape).median / report.ceiling
            for column in report.columns
        ]
        rows.append(
            [*_sizes(shape), f"{operations(shape) / GIGA:.1f}", *(f"{share:.0%}" for share in shares)]
        )
    limit = MILLISECONDS * operations(LARGE) / report.ceiling
    return (
        f"Ceiling, a large fp16 matrix product through torch in this run: {report.ceiling / TERA:.0f} TFLOP/s; "
        f"the {operations(LARGE) / GIGA:.0f} GFLOP of {LARGE} take {limit:.3f} ms at it.\n\n"
        + grid(["batch", "tokens", "GFLOP", *report.columns], rows)
    )


def _sizes(shape: Shape) -> tuple[str, str]:
    return str(shape.batch), str(shape.tokens)


def _difference(report: GpuReport, name: str) -> str:
    found = report.differences.get(name)
    return "" if found is None else f" (largest difference from eager: {found:.1e})"
