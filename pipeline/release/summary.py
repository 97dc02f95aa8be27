"""The table of releases: the size, accuracy, speed and verdict of every variant."""

from dataclasses import dataclass

from distilforge.manifest import Manifest, Variant, Withheld
from distilforge.timing import claims
from distilforge.timing.ratios import Estimate

from pipeline.release.model_card import fp32_sibling, judged_metric
from validation.judgement.verdicts import ERROR, LOSS, listed, open_questions
from validation.reports.report import AGREEMENT, EAGER

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
NOT_SETTLED = "not settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantLine:
    """One variant of one release, as a line of the table."""

    release: str
    """The release's name."""
    version: str
    """The release's version."""
    head: str
    """The name of the head."""
    variant: str
    """The variant's name: its target and its precision."""
    bytes: int | None = None
    """The size of the engine, or else of all files of the variant."""
    metric: str | None = None
    """The name of the metric that the gate judges; None without labelled data, and so are its values."""
    eager: float | None = None
    """The metric of eager PyTorch."""
    value: float | None = None
    """The metric of the variant."""
    loss: float | None = None
    """The end of the loss's interval that is compared with the margin."""
    margin: float | None = None
    """The largest loss that passes."""
    loss_settled: bool = True
    """Whether the data could settle the loss."""
    unsettled: tuple[str, ...] = ()
    """What the data could not settle of the answers, in words."""
    agreement: float | None = None
    """The share of decisions that equal those of eager PyTorch."""
    error: float | None = None
    """The largest difference from eager PyTorch's outputs, relative to large and small values; None if not judged."""
    eager_seconds: float | None = None
    """The median seconds of eager PyTorch at the largest timed shape; None if no speed is claimed."""
    variant_seconds: float | None = None
    """The median seconds of the variant at the same shape."""
    speedup: float | None = None
    """How many times as fast as eager PyTorch, as geometric mean over the timed shapes; None if not settled."""
    speedup_interval: tuple[float, float] | None = None
    """The ends of the interval of `speedup`, each at 95%."""
    sibling_speedup: float | None = None
    """How many times as fast as the fp32 variant; None if not settled or without such a variant."""
    sibling_speedup_interval: tuple[float, float] | None = None
    """The ends of the interval of `sibling_speedup`, each at 95%."""
    ran: bool = True
    """Whether the variant itself was run; false if its graph was judged in its place."""
    timed: bool = False
    """Whether the variant was timed."""
    sibling: str = ""
    """The name of the fp32 variant that it is compared with; empty if it is that one or there is none."""
    capabilities: tuple[str, ...] = ()
    """The compute capabilities that the engine is for."""
    build_seconds: float | None = None
    """The build time of the engine."""
    validated: bool
    """Whether it passed validation and is in the release; a check that is not settled has not failed."""
    widened: bool = False
    """Whether its limits were wider than usual."""
    withheld: str = ""
    """Why it is not in the release; empty if it is."""

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        if self.withheld:
            return f"{WITHHELD}: {self.withheld}"
        if not self.validated:
            return "NOT VALIDATED"
        words = ["passed" if self.ran else "graph passed, not run"]
        if self.widened:
            words.append("wider limits")
        if self.unsettled:
            words.append(f"{NOT_SETTLED}: {listed(self.unsettled)}")
        return ", ".join(words)

    @property
    def loss_of_margin(self) -> str:
        """The loss that the data exclude and its margin, as text."""
        if self.loss is None:
            return "-"
        text = f"{self.loss:.4f} of {format_number(self.margin, '.4g')}"
        return text if self.loss_settled else f"{NOT_SETTLED}: {text}"

    def claimed(self, value: float | None, form: str, *, scale: float = 1) -> str:
        """`value`, which comes from a timing, as text."""
        return NOT_SETTLED if value is None and self.timed else format_number(value, form, scale=scale)

    def _ratio(self, value: float | None, interval: tuple[float, float] | None) -> str:
        return self.claimed(value, ".2f") if value is None else str(Estimate(value=value, interval=interval))

    def cells(self) -> tuple[str, ...]:
        """This line as text, with one cell for each column."""
        return (
            self.release,
            self.head,
            self.variant,
            format_number(self.bytes, ".1f", scale=1e-6),
            self.metric or "-",
            format_number(self.eager, ".4f"),
            format_number(self.value, ".4f"),
            self.loss_of_margin,
            format_number(self.agreement, ".2%"),
            self.claimed(self.eager_seconds, ".1f", scale=1000),
            self.claimed(self.variant_seconds, ".1f", scale=1000),
            self._ratio(self.speedup, self.speedup_interval),
            self._ratio(self.sibling_speedup, self.sibling_speedup_interval) if self.sibling else "-",
            " ".join(self.capabilities) or "-",
            format_number(self.build_seconds, ".1f"),
            self.verdict,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLines:
    """One release in the table: a line for each variant, or else the outcome in a few words."""

    name: str
    """The release's name, or the recipe or checkpoint if that could not be read."""
    lines: tuple[VariantLine, ...] = ()
    """A line for each variant; empty if there are no verdicts."""
    outcome: str = ""
    """The outcome, if there are no lines."""

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The rows of the table, with one cell for each column."""
        if self.lines:
            return tuple(line.cells() for line in self.lines)
        return ((self.name, *["-"] * (len(COLUMNS) - 2), self.outcome),)


def lines(manifest: Manifest) -> tuple[VariantLine, ...]:
    """A line for each variant of the release; the withheld variants come last."""
    return (
        *(_line(manifest, variant) for variant in manifest.variants),
        *(_withheld(manifest, variant) for variant in manifest.withheld),
    )


def _line(manifest: Manifest, variant: Variant) -> VariantLine:
    metric = judged_metric(variant)
    agreement = [one.variant for one in variant.metrics if one.name == AGREEMENT]
    errors = [verdict.observed for verdict in variant.verdicts if verdict.kind == ERROR]
    losses = [verdict for verdict in variant.verdicts if verdict.kind == LOSS]
    largest = max(
        claims.shapes(manifest, variant.name), key=lambda shape: shape.batch * shape.tokens, default=None
    )
    eager_seconds = claims.seconds(manifest, EAGER, largest) if largest else None
    variant_seconds = claims.seconds(manifest, variant.name, largest) if largest else None
    over_eager = claims.speedup(manifest, variant.name, EAGER)
    sibling = fp32_sibling(manifest, variant)
    over_sibling = claims.speedup(manifest, variant.name, sibling.name) if sibling else None
    return VariantLine(
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
        loss_settled=all(verdict.settled for verdict in losses),
        unsettled=open_questions(variant.verdicts),
        agreement=agreement[0] if agreement else None,
        error=max(errors, default=None),
        eager_seconds=eager_seconds.value if eager_seconds else None,
        variant_seconds=variant_seconds.value if variant_seconds else None,
        speedup=over_eager.value if over_eager else None,
        speedup_interval=over_eager.interval if over_eager else None,
        sibling_speedup=over_sibling.value if over_sibling else None,
        sibling_speedup_interval=over_sibling.interval if over_sibling else None,
        ran=not variant.oracle or largest is not None,
        timed=largest is not None,
        sibling=sibling.name if sibling else "",
        capabilities=variant.compiled.capabilities if variant.compiled else (),
        build_seconds=variant.compiled.build_seconds if variant.compiled else None,
        validated=variant.validated,
        widened=bool(variant.widened),
    )


def _withheld(manifest: Manifest, withheld: Withheld) -> VariantLine:
    return VariantLine(
        release=manifest.name,
        version=manifest.version,
        head=manifest.head,
        variant=withheld.name,
        validated=False,
        withheld=withheld.reason,
    )


def format_number(value: float | None, form: str, *, scale: float = 1) -> str:
    """`value`, multiplied by `scale`, in the format `form`; a dash for None."""
    return "-" if value is None else format(value * scale, form)
