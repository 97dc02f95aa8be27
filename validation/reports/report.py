"""The report of a validation: dataclasses and their JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from distilforge.manifest import Measurement, Metric, Steadiness, Verdict
from distilforge.manifest.document import READER

SCHEMA = 1
EAGER = "eager"
"""Eager PyTorch as the subject of a timing."""
AGREEMENT = "agreement with eager"
"""The metric that needs no labels; it is the last of a variant's metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The absolute differences of one output from eager PyTorch's, on one kind of inputs."""

    inputs: str
    """The kind of inputs."""
    output: str
    """The output's name."""
    largest: float
    """The largest difference."""
    mean: float
    """The mean difference."""
    percentile_999: float
    """The 99.9th percentile of the differences."""
    values: int
    """How many values were compared."""
    scaled: float = 0.0
    """The largest difference; for values beyond 1, divided by the largest magnitude in the same channel."""
    root_mean_square: float = 0.0
    """The root mean square of the differences."""
    spread: float = 0.0
    """The standard deviation of eager PyTorch's values around the mean of each channel."""
    noise: float = 0.0
    """The root mean square, divided by the output's spread on these inputs or on others, whichever is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How much the answers to the same texts change when these are not fed alone."""

    way: str
    """How they are fed: "padded" or "batched"."""
    texts: int
    """How many texts there are."""
    largest: float
    """The largest change of a score."""
    changed: int
    """How many decisions changed."""
    decisions: int
    """How many decisions there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speedup:
    """How many times as fast a variant is as another subject (distilforge.timing.ratios)."""

    batch: int | None
    """Texts in the batch; None for the geometric mean over all timed shapes."""
    tokens: int | None
    """Tokens of every text; None for the geometric mean over all timed shapes."""
    ratio: float
    """Seconds of the other subject divided by the variant's."""
    interval: tuple[float, float]
    """The lower and the upper end, each one-sided."""
    over: str = EAGER
    """The other subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantReport:
    """The results of one variant."""

    name: str
    """Target and precision."""
    metrics: tuple[Metric, ...] = ()
    """The primary metric first, the agreement with eager PyTorch last; only the latter without labelled data."""
    agreements: tuple[Agreement, ...] = ()
    """One for each output on each kind of inputs."""
    label_agreement: float | None = None
    """The share of decisions that agree with eager PyTorch's; None where the head decides nothing."""
    decisions: int = 0
    """How many decisions there are."""
    verdicts: tuple[Verdict, ...] = ()
    """The checks, in the order judged."""
    speedups: tuple[Speedup, ...] = ()
    """Over eager PyTorch and over other variants, over all shapes and at each; empty if the timing was not steady."""
    measurements: tuple[Measurement, ...] = ()
    """Timed runs of eager PyTorch and of the variant, in turns."""
    stability: tuple[Stability, ...] = ()
    """When padded and when batched."""
    notes: tuple[str, ...] = ()
    """What a reader must know before deploying it, one sentence each."""
    widened: tuple[str, ...] = ()
    """The limits that are wider than usual, a phrase each; a note says the same."""
    withheld: str = ""
    """Why it is left out of the release, which is no failure of the release; empty where it is published."""

    @property
    def passed(self) -> bool:
        """Whether no check failed; a check that is not settled has not failed."""
        return all(self.verdicts)

    def over(self, subject: str) -> tuple[Speedup, ...]:
        """The speed-ups over `subject`, one for each shape."""
        return tuple(
            speedup for speedup in self.speedups if speedup.over == subject and speedup.batch is not None
        )

    def beside(self, speedup: Speedup, subject: str) -> Speedup | None:
        """The speed-up over `subject` at the shape of `speedup`; None where they were not timed together there."""
        shape = (speedup.batch, speedup.tokens)
        return next((other for other in self.over(subject) if (other.batch, other.tokens) == shape), None)

    def overall(self, subject: str) -> Speedup | None:
        """The geometric mean of the speed-ups over `subject`; None where none is claimed."""
        return next(
            (speedup for speedup in self.speedups if speedup.over == subject and speedup.batch is None), None
        )

    @property
    def siblings(self) -> tuple[str, ...]:
        """The other variants with which its speed was compared."""
        return tuple(dict.fromkeys(speedup.over for speedup in self.speedups if speedup.over != EAGER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The results of one release; a report on a failed release is as complete as any other."""

    head: str
    """The release's head."""
    evaluation: str
    """Which texts were used: a file's name and digest, or the demo's texts."""
    examples: int
    """How many examples they have."""
    variants: tuple[VariantReport, ...]
    """The results of each variant."""
    conditions: Mapping[str, str]
    """Machine, threads and versions, by name."""
    notes: tuple[str, ...] = ()
    """What a reader must know to read the numbers, one sentence each."""
    timing: Steadiness | None = None
    """Whether the speeds can be relied on; None where nothing was timed."""
    schema: int = SCHEMA
    """The version of this format."""

    @property
    def passed(self) -> bool:
        """Whether no check failed of the variants that are to be published."""
        return all(variant.passed for variant in self.variants if not variant.withheld)

    def to_json(self) -> str:
        """This report as JSON; raises ValueError for NaN and infinity, which JSON cannot hold."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = "report.json") -> "Report":
        """The report in `text`; raises distilforge's ReleaseError, which names the field that does not fit."""
        return READER.read_json(cls, text, path)


def headroom(verdict: Verdict) -> float:
    """How far the observed number is on the good side of the limit; negative where the check is not met."""
    distance = verdict.limit - verdict.observed
    return distance if verdict.comparison == "at most" else -distance
