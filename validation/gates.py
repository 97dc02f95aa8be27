"""The limits that a variant must meet to be published. This module imports fast, because the command line needs it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Literal, get_args

from validation.errors import GatesError

BATCH_DEPENDENT = ("int8_dynamic",)
"""Schemes that scale activations by what is in the batch."""

# Limits that an observed number must not exceed, and limits that it must reach
_UPPER_LIMITS = ("error", "noise", "class_loss", "calibration", "shift")
_LOWER_LIMITS = ("agreement", "cosine")
# Limits that every answer meets. An output without information has a noise of about 1, since the unit of noise is the
# standard deviation of eager PyTorch's output.
_MET_BY_ALL = {"noise": 1, "class_loss": 1, "calibration": 1, "flips": 1, "agreement": 0, "cosine": 0}

Latency = Literal["judge", "report", "skip"]
"""Whether speeds are compared with limits, only reported, or not measured."""

# With more looks, too few examples lie between two of them for a variant to be decided much earlier
MOST_LOOKS = 10
MOST_THREADS = 1024
"""The most threads, which are those that `distilforge.open` takes."""
MOST_SECONDS_PER_SHAPE = 3600
"""The longest that a shape is timed, without warm-up."""

Use = Literal["answers", "timing", "speed"]
"""What a field of Gates changes: the verdicts on answers, the samples of a timing, or the verdicts on speed."""

_USES = "uses"
_SPEED: Mapping[str, tuple[Use, ...]] = {_USES: ("speed",)}
_TIMING: Mapping[str, tuple[Use, ...]] = {_USES: ("timing",)}
_ANSWERS_AND_TIMING: Mapping[str, tuple[Use, ...]] = {_USES: ("answers", "timing")}
_PUBLISHING: Mapping[str, tuple[Use, ...]] = {_USES: ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one precision must meet; None for a number that is reported and not judged.

    Raises GatesError for a value that is out of range, and for one that every answer meets.
    """

    error: float | None = None
    """The largest difference of any output from eager PyTorch's; of large and small values, relative to the largest."""
    noise: float | None = None
    """The root mean square of the differences, divided by the standard deviation of eager PyTorch's output."""
    class_loss: float | None = None
    """The largest share of the right answers of any class that may be lost, and of wrong ones that may be added."""
    calibration: float | None = None
    """The largest loss of the Brier score of the probabilities, between 0 and 1."""
    agreement: float | None = None
    """The least share of classifications that agree with eager PyTorch's."""
    cosine: float | None = None
    """The least cosine of any text's embedding with eager PyTorch's, without what is constant over the texts."""
    shift: float | None = None
    """The largest change of a score when the same text is padded or batched with others."""
    flips: float | None = None
    """The largest share of classifications that change when the same texts are padded or batched with others."""
    faster_than: tuple[str, ...] = ()
    """Precisions of the same target; a variant that is not faster than the fastest of them is withheld."""

    def __post_init__(self) -> None:
        for name in _UPPER_LIMITS:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise GatesError(f"{name} must be a finite number of at least 0, found {value!r}")
        for name in (*_LOWER_LIMITS, "flips"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise GatesError(f"{name} must lie between 0 and 1, found {value!r}")
        for name, bound in _MET_BY_ALL.items():
            value = getattr(self, name)
            if value is not None and (value <= bound if name in _LOWER_LIMITS else value >= bound):
                side = "above" if name in _LOWER_LIMITS else "below"
                raise GatesError(
                    f"{name} must lie {side} {bound}, which any answer meets, found {value!r}",
                    hint=f'write {name} = "off" to report it without judging it',
                )

    def widened(self, usual: "Limits") -> Iterator[str]:
        """A phrase for each of these limits that is wider than in `usual`."""
        for name in (*_UPPER_LIMITS, "flips", *_LOWER_LIMITS):
            value, usual_value = getattr(self, name), getattr(usual, name)
            if usual_value is None or value == usual_value:
                continue
            if value is None:
                yield f"{name} not judged, where {usual_value:g} is usual"
            elif (value < usual_value) if name in _LOWER_LIMITS else (value > usual_value):
                yield f"{name} {value:g}, where {usual_value:g} is usual"
        if missing := [name for name in usual.faster_than if name not in self.faster_than]:
            yield f"not timed against {' and '.join(missing)}"


_FP32 = Limits(error=1e-4, class_loss=0.1, calibration=0.01, agreement=0.999, shift=1e-4, flips=0.0)
_FP16 = Limits(
    noise=0.01,
    class_loss=0.1,
    calibration=0.01,
    agreement=0.995,
    cosine=0.999,
    shift=0.005,
    flips=0.002,
    faster_than=("fp32",),
)
_BF16 = Limits(
    noise=0.05,
    class_loss=0.1,
    calibration=0.01,
    agreement=0.99,
    cosine=0.995,
    shift=0.01,
    flips=0.005,
    faster_than=("fp32",),
)
_EIGHT_BITS = Limits(
    noise=0.35,
    class_loss=0.1,
    calibration=0.01,
    agreement=0.98,
    cosine=0.95,
    shift=0.01,
    flips=0.005,
    faster_than=("fp32", "fp16"),
)
LIMITS: Mapping[str, Limits] = {
    "fp32": _FP32,
    "fp16": _FP16,
    "fp16_unpadded": _FP16,
    "bf16": _BF16,
    "int8": _EIGHT_BITS,
    "int8_bf16": _EIGHT_BITS,
    "int8_7bit": _EIGHT_BITS,
    "fp8": _EIGHT_BITS,
}
"""The usual limits of each precision; the reasons are in validation/judgement/verdicts.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """All limits, and how the numbers that are compared with them are measured.

    The metadata of a field says what it changes; without metadata it changes the verdicts on answers. Raises GatesError
    for a value that is out of range.
    """

    limits: Mapping[str, Limits] = field(default_factory=lambda: LIMITS)
    """The limits by precision; a precision that is not in it has those of fp32."""
    margin: float = 0.01
    """The largest loss of the head's primary metric, eager PyTorch less the variant; 0.01 is one percentage point."""
    confidence: float = field(default=0.95, metadata=_ANSWERS_AND_TIMING)
    """The confidence of every interval, one-sided."""
    latency: Latency = field(default="judge", metadata=_SPEED)
    """Whether speeds are compared with the next two limits ("judge"), only reported ("report") or not measured."""
    speedup: float = field(default=0.0, metadata=_SPEED)
    """The least speed-up over eager PyTorch; 0 allows any."""
    sibling_speedup: float = field(default=1.0, metadata=_SPEED)
    """The least speed-up over the fastest of the precisions that the limits name in `faster_than`."""
    batch_dependent: tuple[str, ...] = BATCH_DEPENDENT
    """Schemes that make answers depend on the batch; how much they do is reported and not judged."""
    mode: Literal["enforce", "report"] = field(default="enforce", metadata=_PUBLISHING)
    """Whether a release that fails is refused ("enforce"), or published and marked ("report")."""
    shapes: tuple[tuple[int, int], ...] = field(default=((1, 16), (1, 128), (8, 128)), metadata=_TIMING)
    """The shapes that are timed: texts in the batch and tokens of each."""
    seconds_per_shape: float = field(default=2.5, metadata=_TIMING)
    """How long each shape is timed, without warm-up."""
    looks: int = 3
    """After how many equal parts of the evaluation data accuracy is judged, at most.

    A variant answers no more once all checks of its answers are met, or once its loss is shown to be beyond the margin.
    """
    threads: int | None = field(default=None, metadata=_ANSWERS_AND_TIMING)
    """The number of threads; None for one on each usable core."""

    def __post_init__(self) -> None:
        for name in ("margin", "speedup", "sibling_speedup", "seconds_per_shape"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise GatesError(f"{name} must be a finite number of at least 0, found {value!r}")
        if self.margin == 0:
            raise GatesError(
                "margin must lie above 0, for no number of examples can show that nothing was lost",
                hint="3,000 examples can show 0.001, if the variant answers as eager PyTorch does",
            )
        if self.margin >= 1:
            raise GatesError(
                f"margin must lie below 1, which any answer meets, found {self.margin!r}",
                hint="it is a share: 0.01 lets the metric lose one percentage point",
            )
        if not 0.5 < self.confidence < 1:
            raise GatesError(
                f"confidence must lie between 0.5 and 1, found {self.confidence!r}", hint="0.95 is usual"
            )
        if self.mode not in ("enforce", "report"):
            raise GatesError(f"mode must be 'enforce' or 'report', found {self.mode!r}")
        if self.latency not in get_args(Latency):
            known = " or ".join(map(repr, get_args(Latency)))
            raise GatesError(f"latency must be {known}, found {self.latency!r}")
        if not self.shapes or any(min(shape) < 1 for shape in self.shapes):
            raise GatesError(f"shapes must be pairs of batch and tokens of at least 1, found {self.shapes!r}")
        if not 1 <= self.looks <= MOST_LOOKS:
            raise GatesError(
                f"looks must lie between 1 and {MOST_LOOKS}, found {self.looks!r}",
                hint="1 judges accuracy once, on all examples",
            )
        if self.seconds_per_shape > MOST_SECONDS_PER_SHAPE:
            raise GatesError(
                f"seconds_per_shape must be at most {MOST_SECONDS_PER_SHAPE}, found {self.seconds_per_shape!r}"
            )
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise GatesError(f"threads must lie between 1 and {MOST_THREADS}, found {self.threads!r:.40}")

    def used_for(self, *uses: Use) -> dict[str, object]:
        """The fields that change one of `uses`, by name, as JSON."""
        values = asdict(self)
        return {
            entry.name: values[entry.name]
            for entry in fields(self)
            if not set(uses).isdisjoint(entry.metadata.get(_USES, ("answers",)))
        }

    def of(self, precision: str) -> Limits:
        """The limits of `precision`."""
        return self.limits.get(precision, _FP32)

    def widened(self, precision: str) -> tuple[str, ...]:
        """A phrase for each limit of `precision` that is wider than usual."""
        usual = Gates()
        phrases = [
            f"{name} {getattr(self, name):g}, where {getattr(usual, name):g} is usual"
            for name, wider in (
                ("margin", self.margin > usual.margin),
                ("confidence", self.confidence < usual.confidence),
                ("sibling_speedup", self.sibling_speedup < usual.sibling_speedup),
            )
            if wider
        ]
        unusual = [name for name in self.batch_dependent if name not in usual.batch_dependent]
        if unusual:
            phrases.append(f"answers of {' and '.join(unusual)} may depend on the batch")
        return (*phrases, *self.of(precision).widened(usual.of(precision)))
