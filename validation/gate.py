"""What a variant must meet to be published; cheap to import, since the command line needs it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from validation.errors import GatesError

# Passes that scale activations by whatever else is in the batch
BATCH_DEPENDENT = ("int8_dynamic",)


# Of the limits of a precision, those that a distance may not exceed, and those that a likeness must reach
_DISTANCES = ("error", "noise", "shift")
_LEAST = ("agreement", "cosine")
# An output without any information has a noise of about 1, since its unit is the spread of eager's.
_MET_BY_ALL = {"noise": 1, "flips": 1, "agreement": 0, "cosine": 0}

Latency = Literal["judge", "report", "skip"]
"""What becomes of speed: held against limits, only told, or not measured."""

# More would look after so few further examples each that no variant is done much earlier
MOST_LOOKS = 10

WIDENED = "Held to wider limits than usual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one precision must meet; None for what is reported and not judged.

    error: largest absolute difference of any output from eager's. noise: root mean square of that difference, in
    units of the spread (standard deviation) of eager's output. agreement: least share of classifications that are
    eager's. cosine: least cosine of any text's embedding with eager's. shift: largest change of a score when the
    same text is padded or batched with others. flips: largest share of classifications that change then.
    faster_than: precisions of the same target; a variant that is not faster than the fastest of them is withheld.
    Raises GatesError for a value out of range, and for one that every answer would meet.
    """

    error: float | None = None
    noise: float | None = None
    agreement: float | None = None
    cosine: float | None = None
    shift: float | None = None
    flips: float | None = None
    faster_than: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in _DISTANCES:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise GatesError(f"{name} must be a finite number of at least 0, found {value!r}")
        for name in (*_LEAST, "flips"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise GatesError(f"{name} must lie between 0 and 1, found {value!r}")
        for name, empty in _MET_BY_ALL.items():
            value = getattr(self, name)
            if value is not None and (value <= empty if name in _LEAST else value >= empty):
                bound = "above" if name in _LEAST else "below"
                raise GatesError(
                    f"{name} must lie {bound} {empty}, which any answer meets, found {value!r}",
                    hint=f'write {name} = "off" for what is to be reported and not judged',
                )

    def widened(self, usual: "Limits") -> Iterator[str]:
        """What these limits let pass and `usual` ones do not, a phrase each."""
        for name in (*_DISTANCES, "flips", *_LEAST):
            value, other = getattr(self, name), getattr(usual, name)
            if other is None or value == other:
                continue
            if value is None:
                yield f"{name} not judged, where {other:g} is usual"
            elif (value < other) if name in _LEAST else (value > other):
                yield f"{name} {value:g}, where {other:g} is usual"
        if missing := [name for name in usual.faster_than if name not in self.faster_than]:
            yield f"not timed against {' and '.join(missing)}"


_FP32 = Limits(error=1e-4, agreement=0.999, shift=1e-4, flips=0.0)
_FP16 = Limits(noise=0.01, agreement=0.995, cosine=0.999, shift=0.005, flips=0.002, faster_than=("fp32",))
_EIGHT_BITS = Limits(
    noise=0.35, agreement=0.98, cosine=0.95, shift=0.01, flips=0.005, faster_than=("fp32", "fp16")
)
LIMITS: Mapping[str, Limits] = {
    "fp32": _FP32,
    "fp16": _FP16,
    "int8": _EIGHT_BITS,
    "int8_7bit": _EIGHT_BITS,
    "fp8": _EIGHT_BITS,
}
"""By precision, each with its reason in validation/verdicts.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The limits, and how the numbers held against them are taken.

    limits: by precision; one that is not named is held to fp32's. margin: largest loss of the head's primary metric
    (eager minus variant, 0.01 is a percentage point). confidence: of every one-sided interval. latency: "judge" holds
    speeds against the next two limits, "report" only tells them, "skip" times nothing. speedup: least ratio
    eager/variant, 0 to take any. sibling_speedup: the same over the precisions that the limits name. batch_dependent:
    passes whose answers depend on what is in the batch by their nature; how much is noted and not judged. mode:
    "enforce" refuses to publish, "report" publishes and marks. shapes: batch and tokens timed. seconds_per_shape: time
    spent on each, warm-up left out. looks: after how many equal parts of the evaluation
    accuracy is judged, at most; a variant that meets all that is asked of its answers, or whose loss is surely beyond
    the margin, answers no more. threads: None for one a usable core. Raises GatesError for a value out of range.
    """

    limits: Mapping[str, Limits] = field(default_factory=lambda: LIMITS)
    margin: float = 0.01
    confidence: float = 0.95
    latency: Latency = "judge"
    speedup: float = 0.0
    sibling_speedup: float = 1.0
    batch_dependent: tuple[str, ...] = BATCH_DEPENDENT
    mode: Literal["enforce", "report"] = "enforce"
    shapes: tuple[tuple[int, int], ...] = ((1, 16), (1, 128), (8, 128))
    seconds_per_shape: float = 2.5
    looks: int = 3
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("margin", "speedup", "sibling_speedup", "seconds_per_shape"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise GatesError(f"{name} must be a finite number of at least 0, found {value!r}")
        if self.margin == 0:
            raise GatesError(
                "margin must lie above 0, for no number of examples can show that nothing was lost",
                hint="with 3,000 examples, 0.001 can be shown of a variant that answers as eager PyTorch does",
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
        if self.threads is not None and self.threads < 1:
            raise GatesError(f"threads must be at least 1, found {self.threads!r}")

    def of(self, precision: str) -> Limits:
        """The limits of `precision`."""
        return self.limits.get(precision, _FP32)

    def widened(self, precision: str) -> str:
        """A sentence on what these gates let pass and the usual ones do not; empty where there is nothing."""
        usual = Gates()
        found = [
            f"{name} {getattr(self, name):g}, where {getattr(usual, name):g} is usual"
            for name, wider in (
                ("margin", self.margin > usual.margin),
                ("confidence", self.confidence < usual.confidence),
                ("sibling_speedup", self.sibling_speedup < usual.sibling_speedup),
            )
            if wider
        ]
        found += self.of(precision).widened(usual.of(precision))
        return f"{WIDENED}: {'; '.join(found)}." if found else ""
