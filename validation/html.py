"""The report as one HTML file that needs nothing beside it."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
from distilforge.manifest import Manifest, Measurement
from markupsafe import Markup

from validation import figures
from validation.report import Report, VariantReport, number, rows

TEMPLATES = Path(__file__).parent / "templates"


def write(report: Report, manifest: Manifest, folder: Path) -> None:
    """Write report.json and report.html, which needs nothing beside it, into `folder`, made where missing.

    Raises OSError where `folder` cannot be written.
    """
    html = render(report, manifest)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.to_json(), encoding="utf-8")
    (folder / "report.html").write_text(html, encoding="utf-8")


def render(report: Report, manifest: Manifest) -> str:
    """HTML for `report` on the release that `manifest` describes."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    judged = [(variant.name, verdict) for variant in report.variants for verdict in variant.verdicts]
    has_intervals = any(verdict.interval is not None for _, verdict in judged)
    return environment.get_template("report.html.j2").render(
        report=report,
        manifest=manifest,
        lines=rows(report),
        failed=sum(not verdict for _, verdict in judged),
        judged=len(judged),
        number=number,
        milliseconds=_milliseconds,
        intervals=Markup(figures.intervals(judged, "Intervals and limits")) if has_intervals else "",  # noqa: S704
        latency={variant.name: _latency(variant) for variant in report.variants},
    )


def _latency(variant: VariantReport) -> Markup:
    # matplotlib escapes the texts it writes into SVG.
    return Markup(figures.latency(variant.measurements, f"Latency of {variant.name}"))  # noqa: S704


def _milliseconds(
    measurements: Sequence[Measurement], batch: int, tokens: int, *, eager: bool, quantile: float
) -> str:
    """A quantile of the samples at one shape, of eager or of the variant, as text."""
    (chosen,) = (
        sample
        for sample in measurements
        if (sample.batch, sample.tokens) == (batch, tokens) and (sample.subject == "eager") == eager
    )
    return number(1000 * float(np.quantile(chosen.seconds, quantile)))
