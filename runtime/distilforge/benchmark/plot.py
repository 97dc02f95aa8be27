"""Draw a benchmark's result; matplotlib is imported only if a picture is asked for."""

from importlib.util import find_spec
from pathlib import Path

from distilforge.benchmark.result import BenchmarkResult
from distilforge.errors import InputError, UnavailableError

FORMATS = (".svg", ".png")
INSTALL = "pip install 'distilforge[plot]'"
# The share of the space between two shapes that the variants of one shape take
_SPREAD = 0.5


def check(path: Path) -> None:
    """Check before the measurement that a picture can be written to `path`.

    Raises InputError if the format is not one of FORMATS or if the folder does not exist, and UnavailableError if
    matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"the name of a picture must end in {' or '.join(FORMATS)}, found {str(path)!r}",
            hint="for example speed.svg",
        )
    if not path.parent.is_dir():
        raise InputError(
            f"there is no folder {str(path.parent)!r} for the picture", hint=f"mkdir -p {path.parent}"
        )
    if not find_spec("matplotlib"):
        raise UnavailableError("a picture needs matplotlib, which is not installed", hint=INSTALL)


def write(result: BenchmarkResult, path: Path) -> None:
    """Draw the milliseconds of each variant at each shape, with their intervals.

    Raises InputError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    shapes = list(dict.fromkeys(speed.shape for speed in result.speeds))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for number, overall in enumerate(result.variants):
        speeds = [speed for speed in result.speeds if speed.variant == overall.variant]
        offset = _SPREAD * ((number + 0.5) / len(result.variants) - 0.5)
        medians = [speed.milliseconds.value for speed in speeds]
        ends = [
            speed.milliseconds.interval or (median, median)
            for speed, median in zip(speeds, medians, strict=True)
        ]
        axes.errorbar(
            [shapes.index(speed.shape) + offset for speed in speeds],
            medians,
            yerr=(
                [median - low for median, (low, _) in zip(medians, ends, strict=True)],
                [high - median for median, (_, high) in zip(medians, ends, strict=True)],
            ),
            fmt="o",
            capsize=4,
            label=overall.variant,
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(shapes)), [str(shape) for shape in shapes])
    axes.set_xlabel("texts x tokens")
    axes.set_ylabel("milliseconds, lower is better")
    axes.grid(axis="y", which="both", alpha=0.3)
    axes.legend()
    settled = "" if result.steadiness.steady else ", not settled"
    axes.set_title(
        f"{result.name} on {result.conditions.processor.cores} x {result.conditions.processor.model}{settled}",
        fontsize="medium",
    )
    try:
        figure.savefig(path)
    except OSError as cause:
        raise InputError(
            f"the picture cannot be written at {str(path)!r}: {cause}", hint="choose another path"
        ) from cause
