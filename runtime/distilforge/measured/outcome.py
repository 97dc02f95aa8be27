"""What a measurement on this machine gave: every number that is shown, and the samples that they come from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from distilforge.manifest import Measurement, Steadiness
from distilforge.measured.conditions import Conditions
from distilforge.measured.memory import Remembered
from distilforge.timing.ratios import Estimate
from distilforge.timing.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast one variant is at one shape."""

    variant: str
    """Its name."""
    shape: Shape
    """Texts x tokens of a run."""
    milliseconds: Estimate
    """Of a run."""
    texts_per_second: Estimate
    """Texts that were answered."""
    tokens_per_second: Estimate
    """Tokens that were read; of every choice, where texts have choices."""
    times_as_fast: Estimate | None
    """As the outcome's first variant at this shape; None where that was not timed at it."""

    @classmethod
    def of(
        cls,
        variant: str,
        shape: Shape,
        seconds: Estimate,
        *,
        choices: int | None,
        over_first: Estimate | None,
    ) -> "Speed":
        """The speed of runs of `seconds`, of texts with `choices` choices each, None for heads that have none."""
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
class Overall:
    """How many times as fast as the first variant one variant is: the geometric mean over the shapes."""

    variant: str
    """Its name."""
    times_as_fast: Estimate | None
    """None where it was not timed at every shape at which the others were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A shape that a variant cannot take."""

    variant: str
    """Its name."""
    shape: Shape
    """What was asked."""
    reason: str
    """What the variant said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The speed of a release's variants on this machine."""

    name: str
    """The release's."""
    version: str
    """The release's."""
    release: str
    """What the release is remembered by (distilforge.measured.place.identity)."""
    measured: str
    """When, as ISO 8601."""
    conditions: Conditions
    """The machine, the engines' versions and the threads."""
    choices: int | None
    """How many each text had; None for heads that have none."""
    shapes: tuple[Shape, ...]
    """At which every variant was timed."""
    variants: tuple[Overall, ...]
    """All that were timed; the others are compared with the first."""
    speeds: tuple[Speed, ...]
    """By variant and shape."""
    steadiness: Steadiness
    """Whether any of it can be claimed, and why not."""
    cannot_run: Mapping[str, str]
    """Why the other variants cannot run here, by name."""
    refusals: tuple[Refusal, ...]
    """Shapes that a variant does not take."""
    measurements: tuple[Measurement, ...]
    """Every run."""

    @property
    def first(self) -> str:
        """The variant that the others are compared with."""
        return self.variants[0].variant

    @property
    def fastest(self) -> str | None:
        """The variant to take here; None where nothing can be claimed, or where there is nothing to choose."""
        compared = self._compared()
        if not self.steadiness.steady or len(compared) < 2 or len(compared) < len(self.variants):
            return None
        return max(compared, key=compared.__getitem__)

    def to_remember(self) -> Remembered | None:
        """What is kept of it; None where there is nothing to choose by."""
        if self.fastest is None:
            return None
        return Remembered(
            release=self.release,
            name=self.name,
            version=self.version,
            conditions=self.conditions,
            measured=self.measured,
            shapes=tuple(map(str, self.shapes)),
            speeds=self._compared(),
        )

    def to_json(self) -> str:
        """All of it in one line."""
        return json.dumps({**asdict(self), "fastest": self.fastest}, ensure_ascii=False)

    def _compared(self) -> dict[str, float]:
        return {each.variant: each.times_as_fast.value for each in self.variants if each.times_as_fast}


def _rate(count: int, seconds: Estimate) -> Estimate:
    """`count` a run, as so many a second; the interval's ends change places."""
    return Estimate(
        value=count / seconds.value,
        interval=seconds.interval and (count / seconds.interval[1], count / seconds.interval[0]),
    )
