"""The result of a benchmark on this machine: every number that is shown, and the samples that they come from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from distilforge.benchmark.timed_texts import Texts
from distilforge.manifest import Measurement, Steadiness
from distilforge.records.benchmark_records import BenchmarkRecord
from distilforge.records.conditions import Conditions
from distilforge.timing.ratios import Estimate
from distilforge.timing.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSpeed:
    """How fast one variant is at one shape."""

    variant: str
    """The variant's name."""
    shape: Shape
    """Texts x tokens of one run."""
    milliseconds: Estimate
    """Milliseconds of one run."""
    texts_per_second: Estimate
    """Texts answered per second."""
    tokens_per_second: Estimate
    """Tokens read per second; with choices, the tokens of every choice count."""
    times_as_fast: Estimate | None
    """How many times as fast as the first variant it is at this shape.

    None if that was not timed at this shape, or if the timing was not steady.
    """

    @classmethod
    def of(
        cls,
        variant: str,
        shape: Shape,
        seconds: Estimate,
        *,
        choices: int | None,
        over_first: Estimate | None,
    ) -> "ShapeSpeed":
        """The speed of runs that take `seconds`, if each text has `choices` choices (None for heads without them)."""
        tokens = shape.batch * shape.tokens * (choices or 1)
        return cls(
            variant=variant,
            shape=shape,
            milliseconds=Estimate(
                value=1e3 * seconds.value,
                interval=seconds.interval and (1e3 * seconds.interval[0], 1e3 * seconds.interval[1]),
            ),
            texts_per_second=_rate(shape.batch, seconds),
            tokens_per_second=_rate(tokens, seconds),
            times_as_fast=over_first,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallSpeed:
    """How fast one variant is over all shapes, compared with the first variant."""

    variant: str
    """The variant's name."""
    times_as_fast: Estimate | None
    """How many times as fast as the first variant it is, by geometric mean over the result's shapes.

    None if no shape was timed for all variants, or if the timing was not steady.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeRefusal:
    """A shape that a variant cannot take."""

    variant: str
    """The variant's name."""
    shape: Shape
    """The shape that was asked for."""
    reason: str
    """The variant's error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """How fast a release's variants are on this machine."""

    name: str
    """The release's name."""
    version: str
    """The release's version."""
    release: str
    """The release's identity (distilforge.records.record_files.release_identity)."""
    measured_at: str
    """When it was measured, in ISO 8601."""
    conditions: Conditions
    """The machine, the engines' versions and the threads."""
    choices: int | None
    """How many choices each text had; None for heads without choices."""
    shapes: tuple[Shape, ...]
    """The shapes at which every variant was timed."""
    variants: tuple[OverallSpeed, ...]
    """Every variant that was timed; the others are compared with the first."""
    speeds: tuple[ShapeSpeed, ...]
    """The speed of each variant at each shape."""
    steadiness: Steadiness
    """Whether ratios can be claimed, and the reasons why not."""
    cannot_run: Mapping[str, str]
    """Why the other variants cannot run on this machine, by name."""
    refusals: tuple[ShapeRefusal, ...]
    """The shapes that a variant cannot take."""
    measurements: tuple[Measurement, ...]
    """Every timed run."""
    texts: Texts | None = None
    """The rows that were timed in place of shapes; the only shape is theirs then."""

    @property
    def first(self) -> str:
        """The name of the variant that the others are compared with."""
        return self.variants[0].variant

    @property
    def fastest(self) -> str | None:
        """The name of the fastest variant on this machine.

        None if the timing was not steady, or if fewer than two variants were timed at the same shapes.
        """
        times = self._times_as_fast()
        if len(times) < 2 or len(times) < len(self.variants):
            return None
        return max(times, key=times.__getitem__)

    def record(self) -> BenchmarkRecord | None:
        """The part that is kept in the user's cache; None if there is no fastest variant."""
        if self.fastest is None:
            return None
        return BenchmarkRecord(
            release=self.release,
            name=self.name,
            version=self.version,
            conditions=self.conditions,
            measured_at=self.measured_at,
            shapes=tuple(map(str, self.shapes)),
            speeds=self._times_as_fast(),
        )

    def to_json(self) -> str:
        """Everything, every sample too, as one line of JSON."""
        return json.dumps({**asdict(self), "fastest": self.fastest}, ensure_ascii=False)

    def _times_as_fast(self) -> dict[str, float]:
        return {
            overall.variant: overall.times_as_fast.value for overall in self.variants if overall.times_as_fast
        }


def _rate(count: int, seconds: Estimate) -> Estimate:
    """`count` per run as a number per second; the interval's ends change places."""
    return Estimate(
        value=count / seconds.value,
        interval=seconds.interval and (count / seconds.interval[1], count / seconds.interval[0]),
    )
