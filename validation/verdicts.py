"""What was observed, held against the gates.

Every limit carries its reason; a verdict's `observed` is the number that is held against the limit, which for
statistics is the unfavourable end of an interval and not the estimate.
"""

from collections.abc import Sequence

from distilforge.manifest import Verdict

from validation.bootstrap import loss_interval, speedup_interval
from validation.gate import Gates
from validation.latency import Timing
from validation.metrics import Score
from validation.report import EAGER, Stability

REASON_ERROR = (
    "float32 keeps 24 bits; kernels that add the same products in another order differ by about 3e-5 on real "
    "encoders, and a wrong mask, weight or epsilon by 1e-3 and more: 1e-4 tells the two apart"
)
REASON_NOISE = (
    "rounding to the precision's steps adds noise that is a share of the signal: fp16 rounds at 0.05% of a value and "
    "ends near 0.1%, int8 rounds at 1% of an activation's spread in each of some forty products and ends near 5 to "
    "20%; a wrong scale, a saturated layer or a fault in the graph gives 50% and more, for any head and without labels"
)
REASON_AGREEMENT = (
    "an application acts on the label, so that a label that changed counts even where the metric stayed: rounding "
    "moves only those texts whose two best labels lie within its noise"
)
REASON_COSINE = "embeddings are compared by cosine: a text whose embedding turned away finds other neighbours"
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
REASON_SIBLING = (
    "a variant that gives up precision and is not faster than the one that does not has no reason to ship: it is "
    "withheld, and the others are published"
)
REASON_SHIFT = (
    "a text's answer may not depend on its padding or on its company; other kernels for other shapes add the same "
    "products in another order, which in int8 may tip a value at a rounding boundary over to the next step, and no more"
)
REASON_FLIPS = (
    "the same text has the same label alone and in a batch; only a text whose two best labels lie within the change "
    "of a score may flip"
)


def judge_error(inputs: str, largest: float, limit: float) -> Verdict:
    """Is the largest absolute difference from eager's outputs on `inputs` within the limit?"""
    return Verdict(
        check=f"largest error on {inputs}",
        observed=largest,
        comparison="at most",
        limit=limit,
        unit="absolute",
        reason=REASON_ERROR,
    )


def judge_noise(inputs: str, noise: float, limit: float) -> Verdict:
    """Is the root mean square of the differences small against the spread of eager's outputs?"""
    return Verdict(
        check=f"noise on {inputs}",
        observed=noise,
        comparison="at most",
        limit=limit,
        unit="of the output's spread",
        reason=REASON_NOISE,
    )


def judge_agreement(agreed: int, decisions: int, limit: float) -> Verdict:
    """Are enough labels those that eager gives?"""
    return Verdict(
        check=f"labels that are eager's, of {decisions:,}",
        observed=agreed / decisions,
        comparison="at least",
        limit=limit,
        unit="share",
        reason=REASON_AGREEMENT,
    )


def judge_cosine(cosines: Sequence[float], limit: float) -> Verdict:
    """Does every text's embedding point where eager's does?"""
    return Verdict(
        check=f"lowest cosine with eager's embedding, of {len(cosines):,}",
        observed=min(cosines),
        comparison="at least",
        limit=limit,
        unit="cosine",
        reason=REASON_COSINE,
    )


def judge_shift(stability: Stability, limit: float) -> Verdict:
    """Do the scores of a text stay when it is fed another way?"""
    return Verdict(
        check=f"largest change of a score when {stability.way}",
        observed=stability.largest,
        comparison="at most",
        limit=limit,
        unit="score",
        reason=REASON_SHIFT,
    )


def judge_flips(stability: Stability, limit: float) -> Verdict:
    """Do the labels of texts stay when they are fed another way?"""
    return Verdict(
        check=f"labels that change when {stability.way}, of {stability.decisions:,}",
        observed=stability.changed / stability.decisions,
        comparison="at most",
        limit=limit,
        unit="share",
        reason=REASON_FLIPS,
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


def judge_speedup(timings: Sequence[Timing], variant: str, gates: Gates) -> Verdict:
    """Is the variant faster than eager over the timed shapes?"""
    return _speedup(timings, variant, EAGER, gates.speedup, gates.confidence, REASON_SPEEDUP)


def judge_sibling(timings: Sequence[Timing], variant: str, sibling: str, gates: Gates) -> Verdict:
    """Is the variant faster than the variant `sibling` over the timed shapes?"""
    return _speedup(timings, variant, sibling, gates.sibling_speedup, gates.confidence, REASON_SIBLING)


def _speedup(
    timings: Sequence[Timing], variant: str, over: str, limit: float, confidence: float, reason: str
) -> Verdict:
    pairs = [timing.pair(variant, over) for timing in timings]
    low, high = speedup_interval(pairs, confidence=confidence)
    return Verdict(
        check=f"speed-up over {over}, lower end at {confidence:.0%}",
        observed=low,
        comparison="at least",
        limit=limit,
        unit="times",
        reason=reason,
        interval=(low, high),
    )
