"""The report as one HTML file that needs no other file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import jinja2
from distilforge.manifest import Manifest, Steadiness, Verdict
from distilforge.printable import printable
from distilforge.timing import ratios
from markupsafe import Markup

from validation.reports import figures
from validation.reports.report import AGREEMENT, EAGER, Report, Speedup, VariantReport
from validation.reports.table import short, verdict_rows

TEMPLATES = Path(__file__).parent / "templates"


def write(report: Report, manifest: Manifest, folder: Path) -> None:
    """Write report.json and report.html into `folder`, which is made if it does not exist.

    Raises OSError if `folder` cannot be written.
    """
    html = render(report, manifest)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.to_json(), encoding="utf-8")
    (folder / "report.html").write_text(html, encoding="utf-8")


def render(report: Report, manifest: Manifest) -> str:
    """The HTML of `report` on the release that `manifest` describes."""
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
    html = environment.get_template("report.html.j2").render(
        report=report,
        manifest=manifest,
        rows=verdict_rows(report),
        overview=[_overview(variant, manifest) for variant in report.variants],
        failed=sum(not verdict for verdict in published),
        judged=len(published),
        unsettled=sum(not verdict.settled for verdict in published),
        machine=_machine(report.timing),
        reasons=_reasons(judged),
        short=short,
        milliseconds=partial(_milliseconds, report),
        intervals=Markup(figures.intervals(judged, "Intervals and limits")) if has_intervals else "",  # noqa: S704
        latency={variant.name: _latency(report, variant) for variant in report.variants},
    )
    return printable(html)


def _reasons(judged: Sequence[tuple[str, Verdict]]) -> list[tuple[str, str]]:
    """Each check with the reason for its limit; with the variants' names where these have different reasons."""
    variants: dict[tuple[str, str], list[str]] = {}
    for name, verdict in judged:
        variants.setdefault((verdict.check, verdict.reason), []).append(name)
    counts = Counter(check for check, _ in variants)
    return [
        (f"{check} ({', '.join(names)})" if counts[check] > 1 else check, reason)
        for (check, reason), names in variants.items()
    ]


def _overview(variant: VariantReport, manifest: Manifest) -> Mapping[str, str]:
    """One variant in one row; the size of its files is that in `manifest`."""
    files = [file for entry in manifest.variants if entry.name == variant.name for file in entry.files]
    size_bytes = sum(manifest.files[file].bytes for file in files if file in manifest.files)
    metric = next((metric for metric in variant.metrics if metric.name != AGREEMENT), None)
    passed = "passed" if variant.passed else "failed"
    return {
        "name": variant.name,
        "megabytes": f"{size_bytes / 1e6:.1f}" if size_bytes else "-",
        "metric": metric.name if metric else "-",
        "eager": f"{metric.eager:.4f}" if metric else "-",
        "value": f"{metric.variant:.4f}" if metric else "-",
        "agreement": "-" if variant.label_agreement is None else f"{variant.label_agreement:.2%}",
        "speedup": _overall(variant, EAGER),
        "sibling": ", ".join(f"{_overall(variant, name)} {name}" for name in variant.siblings) or "-",
        "outcome": "withheld" if variant.withheld else passed,
    }


def _overall(variant: VariantReport, over: str) -> str:
    """The speed-up over all shapes as text; a dash for a variant that was not timed."""
    if not variant.measurements:
        return "-"
    speedup = variant.overall(over)
    return "not settled" if speedup is None else f"{speedup.ratio:.2f}"


def _machine(timing: Steadiness | None) -> str:
    """What was observed of the machine during the timing, in words; empty where nothing was timed."""
    if timing is None:
        return ""
    phrases = [
        f"{timing.rounds} rounds",
        f"the interquartile range of the least steady subject was {timing.spread:.0%} of its median",
        *_phrase("other processes used {:.2g} cores", timing.others_cores),
        *_phrase("the hypervisor took {:.2g} cores", timing.stolen_cores),
        *_phrase("subjects were interrupted {:.0f} times a second", timing.interruptions),
    ]
    if timing.megahertz is not None:
        phrases.append("the clock was between {:.0f} and {:.0f} MHz".format(*timing.megahertz))
    if timing.round_trip_nanoseconds is not None:
        trips = "{:.0f} to {:.0f} ns".format(*timing.round_trip_nanoseconds)
        phrases.append(f"a message between two cores and back took {trips}")
    if timing.apart:
        phrases.append(f"{len(timing.apart)} rounds are left out, because the two cores shared no cache")
    return "; ".join(phrases)


def _phrase(words: str, number: float | None) -> list[str]:
    return [] if number is None else [words.format(number)]


def _latency(report: Report, variant: VariantReport) -> Markup:
    if not variant.measurements:
        return Markup("")
    svg = figures.latency(
        variant.measurements,
        f"Latency of {variant.name}",
        apart=_apart(report),
        steady=report.timing is None or report.timing.steady,
    )
    # matplotlib escapes the texts that it writes into SVG.
    return Markup(svg)  # noqa: S704


def _apart(report: Report) -> tuple[int, ...]:
    """The rounds that medians and ratios leave out."""
    return report.timing.apart if report.timing is not None else ()


def _milliseconds(
    report: Report, variant: VariantReport, speedup: Speedup, *, eager: bool, slowest: bool = False
) -> str:
    """The median milliseconds at the speed-up's shape as text, or with `slowest` the 90th percentile of all runs."""
    (measurement,) = (
        sample
        for sample in variant.measurements
        if (sample.batch, sample.tokens) == (speedup.batch, speedup.tokens)
        and (sample.subject == EAGER) == eager
    )
    if slowest:
        return short(1000 * ratios.quantile(measurement, 0.9))
    return short(1000 * ratios.seconds(measurement, apart=_apart(report)).value)
