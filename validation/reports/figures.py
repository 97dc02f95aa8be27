"""The report's figures as SVG inside HTML: samples of latency, and intervals beside their limits."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from distilforge.manifest import Measurement, Verdict
from distilforge.timing import ratios
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from validation.reports.report import EAGER
from validation.reports.table import short

GREY, BLUE, BLACK, GREEN, RED = "#6b7280", "#2563eb", "#111827", "#15803d", "#b91c1c"


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(
        {
            # Text stays text, which can be searched and copied, and ids are the same in every run.
            "svg.fonttype": "none",
            "svg.hashsalt": "distilforge",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 9.0,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        yield


def latency(
    measurements: Sequence[Measurement], title: str, *, apart: Sequence[int] = (), steady: bool = True
) -> str:
    """Every sample of eager PyTorch and of a variant, one panel for each shape; the medians are marked if `steady`.

    The rounds `apart` are shown, and left out of the medians (distilforge.timing.ratios).
    """
    shapes = tuple(dict.fromkeys((sample.batch, sample.tokens) for sample in measurements))
    with _style():
        figure = Figure(figsize=(9.2, 2.7), layout="constrained")
        panels = figure.subplots(1, len(shapes), squeeze=False)[0]
        for panel, shape in zip(panels, shapes, strict=True):
            samples = [sample for sample in measurements if (sample.batch, sample.tokens) == shape]
            _draw_samples(panel, samples)
            if steady:
                _draw_medians(panel, samples, apart)
            panel.set_title(f"{shape[0]} × {shape[1]} tokens", fontsize=9.5)
        panels[0].set_ylabel("milliseconds")
        return _svg(figure, title)


def _draw_samples(panel: Axes, measurements: Sequence[Measurement]) -> None:
    random = np.random.default_rng(0)
    for place, sample in enumerate(measurements):
        milliseconds = 1000 * np.asarray(sample.seconds)
        marker = "o" if sample.subject == EAGER else "D"
        across = place + random.uniform(-0.22, 0.22, len(milliseconds))
        panel.scatter(
            across, milliseconds, s=12, color=_color(sample), marker=marker, alpha=0.45, linewidths=0
        )
    panel.set_xticks(range(len(measurements)), [sample.subject.replace(":", "\n") for sample in measurements])
    panel.set_xlim(-0.6, len(measurements) - 0.2)
    panel.set_ylim(0, 1.08 * 1000 * max(max(sample.seconds) for sample in measurements))


def _draw_medians(panel: Axes, measurements: Sequence[Measurement], apart: Sequence[int]) -> None:
    for place, sample in enumerate(measurements):
        median = 1000 * ratios.seconds(sample, apart=apart).value
        panel.hlines(median, place - 0.34, place + 0.34, color=_color(sample), linewidth=2)
        panel.annotate(
            f"{short(median)} ms",
            (place + 0.36, median),
            color=_color(sample),
            fontsize=8.5,
            va="center",
            ha="left",
        )


def _color(measurement: Measurement) -> str:
    return GREY if measurement.subject == EAGER else BLUE


def intervals(verdicts: Sequence[tuple[str, Verdict]], title: str) -> str:
    """Interval and limit of every settled verdict that has an interval; one panel each, because units differ."""
    shown = [
        (name, verdict) for name, verdict in verdicts if verdict.interval is not None and verdict.settled
    ]
    with _style():
        figure = Figure(figsize=(9.2, 0.3 + 1.05 * len(shown)), layout=ConstrainedLayoutEngine(hspace=0.15))
        panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
        for panel, (name, verdict) in zip(panels, shown, strict=True):
            _interval(panel, name, verdict)
        return _svg(figure, title)


def _interval(panel: Axes, name: str, verdict: Verdict) -> None:
    assert verdict.interval is not None
    low, high = verdict.interval
    color = GREEN if verdict else RED
    panel.plot([low, high], [0, 0], color=color, linewidth=3, solid_capstyle="butt")
    panel.plot(
        [low, high], [0, 0], color=color, linestyle="none", marker="|", markersize=12, markeredgewidth=2
    )
    panel.axvline(verdict.limit, color=BLACK, linestyle="--", linewidth=1.2)
    panel.annotate(
        f"limit: {verdict.comparison} {verdict.limit:g}",
        (verdict.limit, 0.72),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=8.5,
    )
    edges = (low, high, verdict.limit, 0.0)
    space = 0.14 * (max(edges) - min(edges) or 1.0)
    panel.set_xlim(min(edges) - space, max(edges) + 2 * space)
    panel.set_ylim(-0.6, 1.1)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.set_title(f"{name}: {verdict.check} ({verdict.unit})", fontsize=9.5, loc="left")


def _svg(figure: Figure, title: str) -> str:
    """The figure without an XML prologue, as wide as the page, with a title for screen readers."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Matplotlib draws a box where its font lacks a letter of a label
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Several figures are on one page, so their ids must differ.
    prefix = "".join(character for character in title.lower() if character.isalnum())
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{prefix}-", svg)
    return svg.replace(">", f' role="img" aria-label="{title}"><title>{title}</title>', 1)
