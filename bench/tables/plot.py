"""A plot of the latency of every subject: a panel per shape, a bar per subject, and a dot per round."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from distilforge.timing.ratios import by_shape, estimate, round_medians
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.contest.ratios import CONFIDENCE

JUDGED_COLOR, PEER_COLOR, DOT_COLOR = "#2563eb", "#9ca3af", "#111827"
COLUMNS, MILLISECONDS = 3, 1000


def draw(timing: Timing, names: Sequence[str], judged: str | None, path: Path, *, title: str) -> None:
    """Write the plot of the rows `names` to `path`; its suffix determines the format."""
    columns = min(COLUMNS, len(timing.shapes))
    rows = -(-len(timing.shapes) // columns)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "distilforge", "font.size": 9.0}):
        size = (2.2 + 3.3 * columns, 0.7 + rows * (0.7 + 0.27 * len(names)))
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, fontsize=10.5)
        panels = figure.subplots(rows, columns, squeeze=False)
        for number, panel in enumerate(panels.flat):
            if number >= len(timing.shapes):
                panel.set_axis_off()
                continue
            _panel(panel, timing, timing.shapes[number], names, judged)
            if number % columns:
                panel.set_yticklabels([])
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=140)


def _panel(panel: Axes, timing: Timing, shape: Shape, names: Sequence[str], judged: str | None) -> None:
    longest = 0.0
    for place, name in enumerate(names):
        measurement = by_shape(timing.measurements, name).get(shape)
        if measurement is None:
            panel.text(0, place, "  does not take this shape", va="center", fontsize=8)
            continue
        rounds = MILLISECONDS * round_medians(measurement, apart=timing.steadiness.apart)
        median = estimate(rounds, confidence=CONFIDENCE).value
        longest = max(longest, median)
        panel.barh(place, median, color=JUDGED_COLOR if name == judged else PEER_COLOR, height=0.7)
        panel.scatter(
            rounds, np.full(len(rounds), place), s=4, color=DOT_COLOR, alpha=0.35, linewidths=0, zorder=3
        )
        panel.annotate(
            f"{median:.3g}",
            (max(median, float(np.quantile(rounds, 0.95))), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    panel.set_yticks(range(len(names)), names)
    panel.invert_yaxis()
    panel.set_xlim(0, longest * 1.22)
    panel.set_title(f"{shape.batch} x {shape.tokens} tokens, ms", fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
