"""The table over releases: what each is, how large, accurate and fast, and whether it passed."""

from dataclasses import dataclass

from distilforge.manifest import Manifest, Variant, Withheld
from distilforge.timing import claims

from pipeline.release.model_card import primary, rival
from validation.gate import WIDENED
from validation.report import AGREEMENT, EAGER
from validation.verdicts import ERROR, LOSS

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
class Line:
    """One variant of one release, as the table over releases shows it."""

    release: str
    """The release's name."""
    version: str
    """Its version."""
    head: str
    """What it computes."""
    variant: str
    """Target and precision."""
    bytes: int | None = None
    """Of its engine, or else of all its files."""
    metric: str | None = None
    """The metric that is judged; None, as are its values, without labelled data."""
    eager: float | None = None
    """The metric of eager PyTorch."""
    value: float | None = None
    """The metric of the variant."""
    loss: float | None = None
    """The end of the loss's interval that is held against the margin."""
    margin: float | None = None
    """The largest loss that passes."""
    loss_settled: bool = True
    """Whether the examples were enough to tell the loss."""
    agreement: float | None = None
    """Share of decisions that are eager's."""
    error: float | None = None
    """Largest absolute difference from eager's outputs, where that is judged."""
    eager_seconds: float | None = None
    """Median seconds of eager at the largest timed shape; None where nothing is claimed."""
    variant_seconds: float | None = None
    """Median seconds of the variant there."""
    speedup: float | None = None
    """How many times as fast as eager, as geometric mean over the timed shapes; None where that is not settled."""
    sibling_speedup: float | None = None
    """How many times as fast as the release's fp32 variant; None where that is not settled, or there is none."""
    ran: bool = True
    """Whether it answered itself, and not the graph that it was made of in its place."""
    timed: bool = False
    """Whether it was timed."""
    sibling: str = ""
    """The release's fp32 variant, which it is held against; empty where it is that one, or there is none."""
    capabilities: tuple[str, ...] = ()
    """Compute capabilities that its engine is for."""
    build_seconds: float | None = None
    """How long its engine took to build."""
    validated: bool
    """Whether it failed none of its checks."""
    widened: bool = False
    """Whether it was held to wider limits than usual."""
    withheld: str = ""
    """Why it is not in the release; empty where it is."""

    @property
    def verdict(self) -> str:
        """How it fared, in words."""
        if self.withheld:
            return f"{WITHHELD}: {self.withheld}"
        if not self.validated:
            return "NOT VALIDATED"
        words = ["passed" if self.ran else "graph passed, not run"]
        if not self.loss_settled:
            words.append("too few examples to settle the loss")
        if self.widened:
            words.append("wider limits")
        return ", ".join(words)

    @property
    def loss_of_margin(self) -> str:
        """The loss against its margin, as text."""
        if self.loss is None:
            return "-"
        return f"{self.loss:.4f} of {number(self.margin, '.4g')}" if self.loss_settled else NOT_SETTLED

    def claimed(self, value: float | None, form: str, *, scale: float = 1) -> str:
        """`value`, which a timing gave, as text."""
        return NOT_SETTLED if value is None and self.timed else number(value, form, scale=scale)

    def cells(self) -> tuple[str, ...]:
        """This line as text, a cell a column."""
        return (
            self.release,
            self.head,
            self.variant,
            number(self.bytes, ".1f", scale=1e-6),
            self.metric or "-",
            number(self.eager, ".4f"),
            number(self.value, ".4f"),
            self.loss_of_margin,
            number(self.agreement, ".2%"),
            self.claimed(self.eager_seconds, ".1f", scale=1000),
            self.claimed(self.variant_seconds, ".1f", scale=1000),
            self.claimed(self.speedup, ".2f"),
            self.claimed(self.sibling_speedup, ".2f") if self.sibling else "-",
            " ".join(self.capabilities) or "-",
            number(self.build_seconds, ".1f"),
            self.verdict,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the table tells of one release: a line for each variant, or what became of it in a few words."""

    name: str
    """The release's name, or what it was to be built from where that could not be read."""
    lines: tuple[Line, ...] = ()
    """Of its variants; empty where there are no verdicts on them."""
    outcome: str = ""
    """What became of it, where there are no lines."""

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The rows of the table, a cell a column."""
        if self.lines:
            return tuple(line.cells() for line in self.lines)
        return ((self.name, *["-"] * (len(COLUMNS) - 2), self.outcome),)


def lines(manifest: Manifest) -> tuple[Line, ...]:
    """A line for each variant of the release that `manifest` describes, those that were withheld last."""
    return (
        *(_line(manifest, variant) for variant in manifest.variants),
        *(_withheld(manifest, each) for each in manifest.withheld),
    )


def _line(manifest: Manifest, variant: Variant) -> Line:
    metric = primary(variant)
    agreement = [found.variant for found in variant.metrics if found.name == AGREEMENT]
    errors = [verdict.observed for verdict in variant.verdicts if verdict.kind == ERROR]
    losses = [verdict for verdict in variant.verdicts if verdict.kind == LOSS]
    largest = max(
        claims.shapes(manifest, variant.name), key=lambda shape: shape.batch * shape.tokens, default=None
    )
    eager_seconds = claims.seconds(manifest, EAGER, largest) if largest else None
    variant_seconds = claims.seconds(manifest, variant.name, largest) if largest else None
    over_eager = claims.speedup(manifest, variant.name, EAGER)
    sibling = rival(manifest, variant)
    over_sibling = claims.speedup(manifest, variant.name, sibling.name) if sibling else None
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
        loss_settled=all(verdict.settled for verdict in losses),
        agreement=agreement[0] if agreement else None,
        error=max(errors, default=None),
        eager_seconds=eager_seconds.value if eager_seconds else None,
        variant_seconds=variant_seconds.value if variant_seconds else None,
        speedup=over_eager.value if over_eager else None,
        sibling_speedup=over_sibling.value if over_sibling else None,
        ran=not variant.oracle or largest is not None,
        timed=largest is not None,
        sibling=sibling.name if sibling else "",
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


def number(value: float | None, form: str, *, scale: float = 1) -> str:
    """`value` as text, a dash for none."""
    return "-" if value is None else format(value * scale, form)
