"""What was observed, held against the gates.

Every limit carries its reason; a verdict's `observed` is the number that is held against the limit, which for
statistics is the unfavourable end of an interval and not the estimate.
"""

from collections.abc import Sequence
from typing import Literal

from distilforge.manifest import Verdict
from distilforge.timing.ratios import Estimate

from validation.gate import Gates
from validation.metrics import Score
from validation.noninferiority import loss_interval, unseen
from validation.report import EAGER, Stability
from validation.sequential import Look

Kind = Literal[
    "error",
    "noise",
    "agreement",
    "cosine",
    "shift",
    "flips",
    "finite",
    "loss",
    "speedup over eager",
    "speedup over sibling",
]
"""Which check a verdict is of, for programs."""
LOSS: Kind = "loss"
ERROR: Kind = "error"
AGREEMENT: Kind = "agreement"
SPEEDUP_OVER_EAGER: Kind = "speedup over eager"
SPEEDUP_OVER_SIBLING: Kind = "speedup over sibling"

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
    "non-inferiority: the metric's loss, estimated from the same examples for both models, stays within the margin at "
    "the stated confidence, which holds over all looks together"
)
REASON_SPEEDUP = "the recipe asks for it; the geometric mean weighs every timed shape alike"
REASON_SIBLING = (
    "a variant that gives up precision and is slower than the one that does not has no reason to ship: where a steady "
    "timing shows it, it is withheld, and the others are published"
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
        kind=ERROR,
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
        kind="noise",
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
        kind=AGREEMENT,
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
        kind="cosine",
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
        kind="shift",
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
        kind="flips",
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
        kind="finite",
    )


def judge_loss(eager: Score, variant: Score, look: Look, gates: Gates) -> Verdict:
    """Is the variant not inferior to eager on this metric by more than the margin, as seen at this look?

    Not settled where the examples are too few: not even a variant without any difference could be shown to be within
    the margin, nor is this one shown to be beyond it.
    """
    low, high = loss_interval(eager, variant, critical=look.critical)
    enough = unseen(look.examples, look.critical) <= gates.margin
    return Verdict(
        check=f"loss of {eager.name}, upper end at {gates.confidence:.0%}",
        observed=high,
        comparison="at most",
        limit=gates.margin,
        unit=eager.name,
        reason=f"{REASON_MARGIN} (after {look.examples:,} of {look.of:,} examples, critical value {look.critical:.3f})",
        kind=LOSS,
        interval=(low, high),
        settled=enough or low > gates.margin,
    )


def judge_speedup(ratio: Estimate, gates: Gates, *, steady: bool) -> Verdict:
    """Is the variant as many times as fast as eager as the recipe asks?"""
    return _speedup(ratio, EAGER, SPEEDUP_OVER_EAGER, gates.speedup, gates.confidence, REASON_SPEEDUP, steady)


def judge_sibling(ratio: Estimate, sibling: str, gates: Gates, *, steady: bool) -> Verdict:
    """Is the variant faster than the variant `sibling`?"""
    return _speedup(
        ratio, sibling, SPEEDUP_OVER_SIBLING, gates.sibling_speedup, gates.confidence, REASON_SIBLING, steady
    )


def _speedup(
    ratio: Estimate, over: str, kind: Kind, limit: float, confidence: float, reason: str, steady: bool
) -> Verdict:
    """Met where the whole interval reaches the limit, not met where none of it does, else not settled."""
    low, high = ratio.interval or (0.0, ratio.value)
    return Verdict(
        check=f"speed-up over {over}, lower end at {confidence:.0%}",
        observed=low,
        comparison="at least",
        limit=limit,
        unit="times",
        reason=reason,
        interval=ratio.interval,
        kind=kind,
        settled=steady and ratio.interval is not None and (low >= limit or high < limit),
    )
