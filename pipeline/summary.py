"""The table over releases: what each is, how large, accurate and fast, and whether it passed."""

import statistics
from dataclasses import dataclass

from distilforge.manifest import Manifest, Variant, Withheld

from pipeline.model_card import MARGIN, pairs, primary, rival, speedup
from validation.gate import WIDENED
from validation.report import AGREEMENT

COLUMNS = (
    "release",
    "head",
    "variant",
    "MB",
    "metric",
    "eager",
    "variant's",
    "loss below",
    "as eager",
    "ms, eager",
    "ms, variant",
    "x eager",
    "x fp32",
    "engine for",
    "built in s",
    "verdict",
)
WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One variant of one release. `metric` and its values are None without labelled data.

    bytes: of its engine, or else of all its files. loss: the end of the interval that the gate looks at, of a margin
    of `margin`. agreement: share of decisions that are eager's. error: largest absolute difference from eager's
    outputs, where that is judged. eager_seconds and variant_seconds: median latency at the largest timed shape.
    speedup: geometric mean over all timed shapes of eager's median seconds by the variant's. sibling_speedup: the same
    over the release's fp32 variant. capabilities and build_seconds: of an engine. widened: held to wider limits than
    usual. withheld: why it is not in the release; empty where it is.
    """

    release: str
    version: str
    head: str
    variant: str
    bytes: int | None = None
    metric: str | None = None
    eager: float | None = None
    value: float | None = None
    loss: float | None = None
    margin: float | None = None
    agreement: float | None = None
    error: float | None = None
    eager_seconds: float | None = None
    variant_seconds: float | None = None
    speedup: float | None = None
    sibling_speedup: float | None = None
    capabilities: tuple[str, ...] = ()
    build_seconds: float | None = None
    validated: bool
    widened: bool = False
    withheld: str = ""

    def cells(self) -> tuple[str, ...]:
        """This line as text, a cell a column."""
        passed = "passed" if self.eager_seconds is not None else "graph passed, not run"
        passed += ", wider limits" if self.widened else ""
        verdict = passed if self.validated else "NOT VALIDATED"
        return (
            self.release,
            self.head,
            self.variant,
            _number(self.bytes, ".1f", scale=1e-6),
            self.metric or "-",
            _number(self.eager, ".4f"),
            _number(self.value, ".4f"),
            "-" if self.loss is None else f"{self.loss:.4f} of {_number(self.margin, '.4g')}",
            _number(self.agreement, ".2%"),
            _number(self.eager_seconds, ".1f", scale=1000),
            _number(self.variant_seconds, ".1f", scale=1000),
            _number(self.speedup, ".2f"),
            _number(self.sibling_speedup, ".2f"),
            " ".join(self.capabilities) or "-",
            _number(self.build_seconds, ".1f"),
            f"{WITHHELD}: {self.withheld}" if self.withheld else verdict,
        )


def lines(manifest: Manifest) -> tuple[Line, ...]:
    """A line for each variant of the release that `manifest` describes, those that were withheld last."""
    return (
        *(_line(manifest, variant) for variant in manifest.variants),
        *(_withheld(manifest, each) for each in manifest.withheld),
    )


def _line(manifest: Manifest, variant: Variant) -> Line:
    metric = primary(variant)
    agreement = [found.variant for found in variant.metrics if found.name == AGREEMENT]
    errors = [verdict.observed for verdict in variant.verdicts if verdict.unit == "absolute"]
    losses = [verdict for verdict in variant.verdicts if verdict.check.startswith(MARGIN)]
    medians = [
        (taken.batch * taken.tokens, statistics.median(eager.seconds), statistics.median(taken.seconds))
        for taken, eager in pairs(variant)
    ]
    ratios = [eager / taken for _, eager, taken in medians]
    _, eager_seconds, variant_seconds = max(medians, default=(0, None, None))
    sibling = rival(manifest, variant)
    return Line(
        release=manifest.name,
        version=manifest.version,
        head=manifest.head,
        variant=variant.name,
        bytes=variant.compiled.bytes
        if variant.compiled
        else sum(manifest.files[file].bytes for file in variant.files if file in manifest.files),
        metric=metric.name if metric else None,
        eager=metric.eager if metric else None,
        value=metric.variant if metric else None,
        loss=losses[0].observed if losses else None,
        margin=losses[0].limit if losses else None,
        agreement=agreement[0] if agreement else None,
        error=max(errors, default=None),
        eager_seconds=eager_seconds,
        variant_seconds=variant_seconds,
        speedup=statistics.geometric_mean(ratios) if ratios else None,
        sibling_speedup=speedup(variant, sibling) if sibling else None,
        capabilities=variant.compiled.capabilities if variant.compiled else (),
        build_seconds=variant.compiled.build_seconds if variant.compiled else None,
        validated=variant.validated,
        widened=any(note.startswith(WIDENED) for note in variant.notes),
    )


def _withheld(manifest: Manifest, withheld: Withheld) -> Line:
    return Line(
        release=manifest.name,
        version=manifest.version,
        head=manifest.head,
        variant=withheld.name,
        # It failed no check of its answers: it is too slow, or the building machine cannot check it, as its reason says
        validated=True,
        withheld=withheld.reason,
    )


def _number(value: float | None, form: str, *, scale: float = 1) -> str:
    return "-" if value is None else format(value * scale, form)
