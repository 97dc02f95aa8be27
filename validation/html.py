"""The report as one HTML file that needs nothing beside it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jinja2
import numpy as np
from distilforge.manifest import Manifest, Steadiness
from distilforge.timing import ratios
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
    has_intervals = any(verdict.interval is not None and verdict.settled for _, verdict in judged)
    return environment.get_template("report.html.j2").render(
        report=report,
        manifest=manifest,
        lines=rows(report),
        overview=[_overview(variant, manifest) for variant in report.variants],
        failed=sum(not verdict for verdict in published),
        judged=len(published),
        unsettled=sum(not verdict.settled for verdict in published),
        watched=_watched(report.timing),
        reasons={verdict.check: verdict.reason for _, verdict in judged},
        number=number,
        milliseconds=partial(_milliseconds, report),
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
        "speedup": _overall(variant, EAGER),
        "sibling": ", ".join(f"{_overall(variant, name)} {name}" for name in variant.siblings) or "-",
        "outcome": "withheld" if variant.withheld else passed,
    }


def _overall(variant: VariantReport, over: str) -> str:
    """How many times as fast over all shapes, as text; a dash for what was not timed."""
    if not variant.measurements:
        return "-"
    speedup = variant.overall(over)
    return "not settled" if speedup is None else f"{speedup.ratio:.2f}"


def _watched(timing: Steadiness | None) -> str:
    """What was seen of the machine while it timed, in words; empty where nothing was timed."""
    if timing is None:
        return ""
    figures = [
        f"{timing.rounds} rounds",
        f"the middle half of the most spread rounds differs by {timing.spread:.0%}",
        *_told("other processes took {:.2g} cores", timing.others_cores),
        *_told("the host took {:.2g} cores away", timing.stolen_cores),
        *_told("subjects were interrupted {:.0f} times a second", timing.interruptions),
    ]
    if timing.megahertz is not None:
        figures.append("the clock lay between {:.0f} and {:.0f} MHz".format(*timing.megahertz))
    if timing.round_trip_nanoseconds is not None:
        trips = "{:.0f} to {:.0f} ns".format(*timing.round_trip_nanoseconds)
        figures.append(f"a message between two cores and back took {trips}")
    if timing.apart:
        figures.append(f"{len(timing.apart)} rounds with the cores apart are left out")
    return "; ".join(figures)


def _told(words: str, figure: float | None) -> list[str]:
    return [] if figure is None else [words.format(figure)]


def _latency(variant: VariantReport) -> Markup:
    if not variant.measurements:
        return Markup("")
    # matplotlib escapes the texts it writes into SVG.
    return Markup(figures.latency(variant.measurements, f"Latency of {variant.name}"))  # noqa: S704


def _milliseconds(
    report: Report, variant: VariantReport, speedup: Speedup, *, eager: bool, slowest: bool = False
) -> str:
    """The median at the speed-up's shape, or with `slowest` the 90th percentile of all runs, as text."""
    apart = report.timing.apart if report.timing is not None else ()
    (taken,) = (
        sample
        for sample in variant.measurements
        if (sample.batch, sample.tokens) == (speedup.batch, speedup.tokens)
        and (sample.subject == EAGER) == eager
    )
    if slowest:
        return number(1000 * float(np.quantile(taken.seconds, 0.9)))
    return number(1000 * ratios.seconds(taken, apart=apart).value)
