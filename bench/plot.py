"""The latency of every subject as one drawing: a panel a shape, a bar a subject, and its turns as dots."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.contest import Contest
from bench.shapes import Shape

OURS, PEER, DOTS = "#2563eb", "#9ca3af", "#111827"
COLUMNS = 3


def draw(contest: Contest, ours: str | None, path: Path, *, title: str) -> None:
    """Write the drawing to `path`, whose suffix says the format."""
    names = tuple(dict.fromkeys(one.contestant for one in contest.samples))
    columns = min(COLUMNS, len(contest.shapes))
    rows = -(-len(contest.shapes) // columns)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "distilforge", "font.size": 9.0}):
        size = (2.2 + 3.3 * columns, 0.7 + rows * (0.7 + 0.27 * len(names)))
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, fontsize=10.5)
        panels = figure.subplots(rows, columns, squeeze=False)
        for number, panel in enumerate(panels.flat):
            if number >= len(contest.shapes):
                panel.set_axis_off()
                continue
            _panel(panel, contest, contest.shapes[number], names, ours)
            if number % columns:
                panel.set_yticklabels([])
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=140)


def _panel(panel: Axes, contest: Contest, shape: Shape, names: tuple[str, ...], ours: str | None) -> None:
    longest = max(contest.of(name, shape).median for name in names)
    for place, name in enumerate(names):
        samples = contest.of(name, shape)
        panel.barh(place, 1000 * samples.median, color=OURS if name == ours else PEER, height=0.7)
        turns = 1000 * np.asarray(samples.medians)
        panel.scatter(turns, np.full(len(turns), place), s=4, color=DOTS, alpha=0.35, linewidths=0, zorder=3)
        panel.annotate(
            f"{1000 * samples.median:.3g}",
            (1000 * max(samples.median, float(np.quantile(samples.medians, 0.95))), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    panel.set_yticks(range(len(names)), names)
    panel.invert_yaxis()
    panel.set_xlim(0, 1000 * longest * 1.22)
    panel.set_title(f"{shape.batch} x {shape.tokens} tokens, ms", fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
