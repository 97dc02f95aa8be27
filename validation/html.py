"""The report as one HTML file that needs nothing beside it."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np
from distilforge.manifest import Manifest, Measurement
from markupsafe import Markup

from validation import figures
from validation.report import AGREEMENT, EAGER, Report, Speedup, VariantReport, number, rows

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
    published = [
        verdict for variant in report.variants if not variant.withheld for verdict in variant.verdicts
    ]
    has_intervals = any(verdict.interval is not None for _, verdict in judged)
    return environment.get_template("report.html.j2").render(
        report=report,
        manifest=manifest,
        lines=rows(report),
        overview=[_overview(variant, manifest) for variant in report.variants],
        failed=sum(not verdict for verdict in published),
        judged=len(published),
        reasons={verdict.check: verdict.reason for _, verdict in judged},
        number=number,
        milliseconds=_milliseconds,
        intervals=Markup(figures.intervals(judged, "Intervals and limits")) if has_intervals else "",  # noqa: S704
        latency={variant.name: _latency(variant) for variant in report.variants},
    )


def _overview(variant: VariantReport, manifest: Manifest) -> Mapping[str, str]:
    """One variant in one line; `manifest` knows the sizes of what is in the release."""
    files = [file for found in manifest.variants if found.name == variant.name for file in found.files]
    held = sum(manifest.files[file].bytes for file in files if file in manifest.files)
    metric = next((metric for metric in variant.metrics if metric.name != AGREEMENT), None)
    passed = "passed" if variant.passed else "failed"
    return {
        "name": variant.name,
        "megabytes": f"{held / 1e6:.1f}" if held else "-",
        "metric": metric.name if metric else "-",
        "eager": f"{metric.eager:.4f}" if metric else "-",
        "value": f"{metric.variant:.4f}" if metric else "-",
        "agreement": "-" if variant.label_agreement is None else f"{variant.label_agreement:.2%}",
        "speedup": _mean(variant.over(EAGER)),
        "sibling": ", ".join(f"{_mean(variant.over(name))} {name}" for name in variant.siblings) or "-",
        "outcome": "withheld" if variant.withheld else passed,
    }


def _mean(speedups: Sequence[Speedup]) -> str:
    """The geometric mean over the shapes; a dash for what was not timed."""
    if not speedups:
        return "-"
    return f"{statistics.geometric_mean(speedup.ratio for speedup in speedups):.2f}"


def _latency(variant: VariantReport) -> Markup:
    if not variant.measurements:
        return Markup("")
    # matplotlib escapes the texts it writes into SVG.
    return Markup(figures.latency(variant.measurements, f"Latency of {variant.name}"))  # noqa: S704


def _milliseconds(
    measurements: Sequence[Measurement], batch: int, tokens: int, *, eager: bool, quantile: float
) -> str:
    """A quantile of the samples at one shape, of eager or of the variant, as text."""
    (chosen,) = (
        sample
        for sample in measurements
        if (sample.batch, sample.tokens) == (batch, tokens) and (sample.subject == EAGER) == eager
    )
    return number(1000 * float(np.quantile(chosen.seconds, quantile)))
