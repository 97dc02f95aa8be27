"""What was observed, held against the gates.

Every limit carries its reason; a verdict's `observed` is the number that is held against the limit, which for
statistics is the unfavourable end of an interval and not the estimate.
"""

from distilforge.manifest import Verdict

from validation.bootstrap import loss_interval, speedup_interval
from validation.gate import Gates
from validation.latency import Timing
from validation.metrics import Score

REASON_ERROR = (
    "float32 keeps 24 bits; kernels that add the same products in another order differ by about 3e-5 on real "
    "encoders, and a wrong mask, weight or epsilon by 1e-3 and more: 1e-4 tells the two apart"
)
REASON_FINITE = (
    "one NaN or infinity spoils every answer that it touches, padding and fully masked rows included"
)
REASON_MARGIN = (
    "non-inferiority: at the stated confidence the metric's loss, bootstrapped over the same examples for both "
    "models, stays within the margin"
)
REASON_SPEEDUP = (
    "an artifact that is not faster than eager PyTorch has no reason to ship; the geometric mean over the shapes "
    "weighs each alike, and one shape's noise on a busy machine does not decide"
)


def judge_error(inputs: str, largest: float, gates: Gates) -> Verdict:
    """Is the largest absolute difference from eager's outputs on `inputs` within the limit?"""
    return Verdict(
        check=f"largest error on {inputs}",
        observed=largest,
        comparison="at most",
        limit=gates.error,
        unit="absolute",
        reason=REASON_ERROR,
    )


def judge_finite(count: int) -> Verdict:
    """Are all output values finite?"""
    return Verdict(
        check="non-finite outputs",
        observed=float(count),
        comparison="at most",
        limit=0.0,
        unit="values",
        reason=REASON_FINITE,
    )


def judge_loss(eager: Score, variant: Score, gates: Gates) -> Verdict:
    """Is the variant not inferior to eager on this metric by more than the margin?"""
    low, high = loss_interval(eager, variant, confidence=gates.confidence)
    return Verdict(
        check=f"loss of {eager.name}, upper end at {gates.confidence:.0%}",
        observed=high,
        comparison="at most",
        limit=gates.margin,
        unit=eager.name,
        reason=REASON_MARGIN,
        interval=(low, high),
    )


def judge_speedup(timings: tuple[Timing, ...], gates: Gates) -> Verdict:
    """Is the variant faster than eager over the timed shapes?"""
    pairs = [(timing.eager, timing.variant) for timing in timings]
    low, high = speedup_interval(pairs, confidence=gates.confidence)
    return Verdict(
        check=f"speed-up over eager, lower end at {gates.confidence:.0%}",
        observed=low,
        comparison="at least",
        limit=gates.speedup,
        unit="times",
        reason=REASON_SPEEDUP,
        interval=(low, high),
    )
