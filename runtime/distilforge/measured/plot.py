"""An outcome as a picture; matplotlib is imported only where one is asked for."""

from importlib.util import find_spec
from pathlib import Path

from distilforge.errors import InputError, UnavailableError
from distilforge.measured.outcome import Outcome

FORMATS = (".svg", ".png")
INSTALL = "pip install 'distilforge[plot]'"
# Of the space between two shapes, what the variants of one take
_SPREAD = 0.5


def check(path: Path) -> None:
    """Whether a picture can be written at `path`, before anything is measured.

    Raises InputError for another format or for a folder that is not there, UnavailableError without matplotlib.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"a picture is {' or '.join(FORMATS)}; found {str(path)!r}", hint="name it speed.svg, say"
        )
    if not path.parent.is_dir():
        raise InputError(
            f"there is no folder {str(path.parent)!r} for the picture", hint=f"mkdir -p {path.parent}"
        )
    if not find_spec("matplotlib"):
        raise UnavailableError("a picture needs matplotlib, which is not installed", hint=INSTALL)


def write(outcome: Outcome, path: Path) -> None:
    """Draw each variant's milliseconds at each shape, with their intervals; InputError where it cannot be written."""
    from matplotlib.figure import Figure

    shapes = list(dict.fromkeys(speed.shape for speed in outcome.speeds))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for number, overall in enumerate(outcome.variants):
        speeds = [speed for speed in outcome.speeds if speed.variant == overall.variant]
        offset = _SPREAD * ((number + 0.5) / len(outcome.variants) - 0.5)
        middles = [speed.milliseconds.value for speed in speeds]
        ends = [
            speed.milliseconds.interval or (middle, middle)
            for speed, middle in zip(speeds, middles, strict=True)
        ]
        axes.errorbar(
            [shapes.index(speed.shape) + offset for speed in speeds],
            middles,
            yerr=(
                [middle - low for middle, (low, _) in zip(middles, ends, strict=True)],
                [high - middle for middle, (_, high) in zip(middles, ends, strict=True)],
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
    settled = "" if outcome.steadiness.steady else ", not settled"
    axes.set_title(
        f"{outcome.name} on {outcome.conditions.processor.cores} x {outcome.conditions.processor.model}{settled}",
        fontsize="medium",
    )
    try:
        figure.savefig(path)
    except OSError as cause:
        raise InputError(
            f"the picture cannot be written at {str(path)!r}: {cause}", hint="choose another place"
        ) from cause
