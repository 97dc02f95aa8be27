"""The latency of every subject as one drawing: a panel a shape, a bar a subject, and its rounds as dots."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from distilforge.timing.ratios import by_shape, estimate, round_medians
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.ratios import CONFIDENCE

OURS, PEER, DOTS = "#2563eb", "#9ca3af", "#111827"
COLUMNS, MILLISECONDS = 3, 1000


def draw(timing: Timing, names: Sequence[str], ours: str | None, path: Path, *, title: str) -> None:
    """Write the drawing of the rows `names` to `path`, whose suffix says the format."""
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
            _panel(panel, timing, timing.shapes[number], names, ours)
            if number % columns:
                panel.set_yticklabels([])
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=140)


def _panel(panel: Axes, timing: Timing, shape: Shape, names: Sequence[str], ours: str | None) -> None:
    longest = 0.0
    for place, name in enumerate(names):
        taken = by_shape(timing.measurements, name).get(shape)
        if taken is None:
            panel.text(0, place, "  does not take this shape", va="center", fontsize=8)
            continue
        rounds = MILLISECONDS * round_medians(taken, apart=timing.steadiness.apart)
        median = estimate(rounds, confidence=CONFIDENCE).value
        longest = max(longest, median)
        panel.barh(place, median, color=OURS if name == ours else PEER, height=0.7)
        panel.scatter(
            rounds, np.full(len(rounds), place), s=4, color=DOTS, alpha=0.35, linewidths=0, zorder=3
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
