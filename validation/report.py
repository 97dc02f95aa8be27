"""What validation found: dataclasses, their JSON, and the table of what was observed against which limit."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from distilforge.json_fields import Fields, read_number, read_text
from distilforge.manifest import (
    Measurement,
    Metric,
    Outcome,
    Steadiness,
    Verdict,
    read_measurement,
    read_metric,
    read_steadiness,
    read_verdict,
)

SCHEMA = 1
EAGER = "eager"
AGREEMENT = "agreement with eager"
"""The metric that needs no labels; a manifest has it after the task's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Absolute differences of one output from eager's on one kind of inputs; `values` is how many were compared.

    noise: root mean square of the differences, by the standard deviation of eager's output.
    """

    inputs: str
    output: str
    largest: float
    mean: float
    percentile_999: float
    values: int
    noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How much the answers to the same texts change when they are fed another `way` than alone.

    largest: the most that any score changed. changed: decisions that did, of all.
    """

    way: str
    texts: int
    largest: float
    changed: int
    decisions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Speedup:
    """How many times as fast as another subject a variant is (distilforge.timing.ratios)."""

    batch: int | None
    """Texts in the batch; None for the geometric mean over all timed shapes."""
    tokens: int | None
    """Tokens of every text; None likewise."""
    ratio: float
    """Seconds of the other by the variant's."""
    interval: tuple[float, float]
    """Each end one-sided."""
    over: str = EAGER
    """The other subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantReport:
    """How one variant fared.

    metrics: the primary one first, the agreement with eager last; only that without labelled data. agreements: one per
    kind of inputs and output. label_agreement: share of `decisions` that are eager's, None where the head decides
    nothing. measurements: of eager and of the variant in turns, a pair a shape. speedups: over eager and over siblings,
    over all shapes and at each; none where the timing was not steady.
    stability: when padded and when batched. notes: what a reader must know before deploying it. withheld: why it is not
    published though nothing is known against its answers; empty where it is.
    """

    name: str
    metrics: tuple[Metric, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    label_agreement: float | None = None
    decisions: int = 0
    verdicts: tuple[Verdict, ...] = ()
    speedups: tuple[Speedup, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    stability: tuple[Stability, ...] = ()
    notes: tuple[str, ...] = ()
    withheld: str = ""

    @property
    def passed(self) -> bool:
        return all(self.verdicts)

    def over(self, subject: str) -> tuple[Speedup, ...]:
        """The speed-ups over `subject`, one a shape."""
        return tuple(one for one in self.speedups if one.over == subject and one.batch is not None)

    def overall(self, subject: str) -> Speedup | None:
        """The speed-up over `subject` as geometric mean over the shapes; None where none is claimed."""
        return next((one for one in self.speedups if one.over == subject and one.batch is None), None)

    @property
    def siblings(self) -> tuple[str, ...]:
        """The other variants that it was held against."""
        return tuple(dict.fromkeys(speedup.over for speedup in self.speedups if speedup.over != EAGER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a release fared; true figures only, so that the report of one that failed is as complete.

    evaluation: what the texts were. examples: how many. conditions: machine, versions, threads, gates. notes: what a
    reader must know to read the numbers. timing: whether the speeds can be relied on; None where nothing was timed.
    """

    head: str
    evaluation: str
    examples: int
    variants: tuple[VariantReport, ...]
    conditions: Mapping[str, str]
    notes: tuple[str, ...] = ()
    timing: Steadiness | None = None
    schema: int = SCHEMA

    @property
    def passed(self) -> bool:
        """Whether all that is to be published is sound; what is withheld does not count."""
        return all(variant.passed for variant in self.variants if not variant.withheld)

    def to_json(self) -> str:
        """This report as JSON; ValueError where a number is NaN or infinite, which JSON cannot say."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = "report.json") -> "Report":
        """The report in `text`; distilforge's ReleaseError naming the field that is missing or misshapen."""
        fields = Fields.parse(text, path)
        return cls(
            schema=fields.integer("schema"),
            head=fields.text("head"),
            evaluation=fields.text("evaluation"),
            examples=fields.integer("examples"),
            variants=fields.list("variants", _variant),
            conditions=fields.map("conditions", read_text),
            notes=fields.list("notes", read_text),
            timing=read_steadiness(fields.nested("timing")) if fields.has("timing") else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One verdict as a table shows it: every cell text, `outcome` for the mark.

    room: how far the observed lies on the good side of the limit.
    """

    variant: str
    check: str
    observed: str
    limit: str
    unit: str
    interval: str
    room: str
    outcome: Outcome
    reason: str

    @property
    def mark(self) -> str:
        return _MARKS[self.outcome]


_MARKS: Mapping[Outcome, str] = {"met": "✓ pass", "not met": "✗ FAIL", "not settled": "? not settled"}


def rows(report: Report) -> tuple[Line, ...]:
    """Observed against limit, a line a verdict, in the order judged."""
    return tuple(_line(variant.name, verdict) for variant in report.variants for verdict in variant.verdicts)


def _line(variant: str, verdict: Verdict) -> Line:
    # What is not settled is no claim, so that its numbers are left to the JSON
    interval = verdict.interval if verdict.settled else None
    return Line(
        variant=variant,
        check=verdict.check,
        observed=number(verdict.observed) if verdict.settled else "-",
        limit=f"{verdict.comparison} {number(verdict.limit)}",
        unit=verdict.unit,
        interval="" if interval is None else f"{number(interval[0])} to {number(interval[1])}",
        room=number(room(verdict)) if verdict.settled else "-",
        outcome=verdict.outcome,
        reason=verdict.reason,
    )


def room(verdict: Verdict) -> float:
    """How far the observed lies on the good side of the limit; negative where the verdict is not met."""
    apart = verdict.limit - verdict.observed
    return apart if verdict.comparison == "at most" else -apart


def number(value: float) -> str:
    """`value` in three significant digits; whole numbers and what is beyond 1000 without a fraction."""
    if value == int(value) or 1000 <= abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.2e}" if abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:.3g}"


def _variant(value: object, path: str) -> VariantReport:
    fields = Fields(value, path)
    return VariantReport(
        name=fields.text("name"),
        metrics=fields.list("metrics", read_metric),
        agreements=fields.list("agreements", _agreement),
        label_agreement=fields.number("label_agreement") if fields.has("label_agreement") else None,
        decisions=fields.integer("decisions"),
        verdicts=fields.list("verdicts", read_verdict),
        speedups=fields.list("speedups", _speedup),
        measurements=fields.list("measurements", read_measurement),
        stability=fields.list("stability", _stability) if fields.has("stability") else (),
        notes=fields.list("notes", read_text) if fields.has("notes") else (),
        withheld=fields.text("withheld") if fields.has("withheld") else "",
    )


def _agreement(value: object, path: str) -> Agreement:
    fields = Fields(value, path)
    return Agreement(
        inputs=fields.text("inputs"),
        output=fields.text("output"),
        largest=fields.number("largest"),
        mean=fields.number("mean"),
        percentile_999=fields.number("percentile_999"),
        values=fields.integer("values"),
        noise=fields.number("noise") if fields.has("noise") else 0.0,
    )


def _stability(value: object, path: str) -> Stability:
    fields = Fields(value, path)
    return Stability(
        way=fields.text("way"),
        texts=fields.integer("texts"),
        largest=fields.number("largest"),
        changed=fields.integer("changed"),
        decisions=fields.integer("decisions"),
    )


def _speedup(value: object, path: str) -> Speedup:
    fields = Fields(value, path)
    low, high = fields.list("interval", read_number)
    return Speedup(
        batch=fields.integer("batch") if fields.has("batch") else None,
        tokens=fields.integer("tokens") if fields.has("tokens") else None,
        ratio=fields.number("ratio"),
        interval=(low, high),
        over=fields.text("over") if fields.has("over") else EAGER,
    )
