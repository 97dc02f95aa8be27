"""The table over releases: what each is, how accurate, how fast, and whether it passed."""

import math
import statistics
from dataclasses import dataclass

from distilforge.manifest import Manifest, Variant

from pipeline.model_card import pairs

COLUMNS = (
    "release",
    "head",
    "variant",
    "metric",
    "eager",
    "variant's",
    "largest error",
    "ms, eager",
    "ms, variant",
    "speed-up",
    "verdict",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One variant of one release. `metric` and its values are None without labelled data.

    error: largest absolute difference from eager's outputs. eager_seconds and variant_seconds: median latency at the
    largest timed shape. speedup: geometric mean over all timed shapes of eager's median seconds by the variant's.
    """

    release: str
    version: str
    head: str
    variant: str
    metric: str | None
    eager: float | None
    value: float | None
    error: float | None
    eager_seconds: float | None
    variant_seconds: float | None
    speedup: float | None
    validated: bool

    def cells(self) -> tuple[str, ...]:
        """This line as text, a cell a column."""
        return (
            self.release,
            self.head,
            self.variant,
            self.metric or "-",
            _number(self.eager, ".4f"),
            _number(self.value, ".4f"),
            _number(self.error, ".1e"),
            _number(self.eager_seconds, ".1f", scale=1000),
            _number(self.variant_seconds, ".1f", scale=1000),
            f"{_number(self.speedup, '.2f')}x",
            "passed" if self.validated else "NOT VALIDATED",
        )


def lines(manifest: Manifest) -> tuple[Line, ...]:
    """A line for each variant of the release that `manifest` describes."""
    return tuple(_line(manifest, variant) for variant in manifest.variants)


def _line(manifest: Manifest, variant: Variant) -> Line:
    metric = variant.metrics[0] if variant.metrics else None
    errors = [verdict.observed for verdict in variant.verdicts if verdict.unit == "absolute"]
    medians = [
        (taken.batch * taken.tokens, statistics.median(eager.seconds), statistics.median(taken.seconds))
        for taken, eager in pairs(variant)
    ]
    ratios = [eager / taken for _, eager, taken in medians]
    _, eager_seconds, variant_seconds = max(medians, default=(0, None, None))
    return Line(
        release=manifest.name,
        version=manifest.version,
        head=manifest.head,
        variant=variant.name,
        metric=metric.name if metric else None,
        eager=metric.eager if metric else None,
        value=metric.variant if metric else None,
        error=max(errors, default=None),
        eager_seconds=eager_seconds,
        variant_seconds=variant_seconds,
        speedup=math.exp(statistics.fmean(map(math.log, ratios))) if ratios else None,
        validated=variant.validated,
    )


def _number(value: float | None, form: str, *, scale: float = 1) -> str:
    return "-" if value is None else format(value * scale, form)
