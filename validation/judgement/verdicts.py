"""The checks: what was observed, compared with the limits of the gates.

Each verdict has the reason for its limit. `observed` is the number that is compared with the limit: for a statistic,
that is the unfavourable end of its interval and not the estimate.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from distilforge.manifest import Comparison, Verdict
from distilforge.timing.ratios import Estimate

from validation.gates import Gates
from validation.reports.numbers import percent
from validation.reports.report import EAGER, Stability
from validation.statistics.metrics import Score
from validation.statistics.noninferiority import counting_examples, loss_interval, smallest_upper_end
from validation.statistics.sequential import Look

Kind = Literal[
    "error",
    "noise",
    "agreement",
    "cosine",
    "shift",
    "flips",
    "finite",
    "chance",
    "labels",
    "loss",
    "calibration",
    "recall",
    "precision",
    "rare classes",
    "speedup over eager",
    "speedup over sibling",
    "token ids",
]
"""Which check a verdict belongs to, for programs."""
LOSS: Kind = "loss"
CHANCE: Kind = "chance"
LABELS: Kind = "labels"
RARE_CLASSES: Kind = "rare classes"
ERROR: Kind = "error"
AGREEMENT: Kind = "agreement"
NOISE: Kind = "noise"
CALIBRATION: Kind = "calibration"
SPEEDUP_OVER_EAGER: Kind = "speedup over eager"
SPEEDUP_OVER_SIBLING: Kind = "speedup over sibling"
TOKEN_IDS: Kind = "token ids"

QUESTIONS: Mapping[str, str] = {
    CHANCE: "whether the labels fit the model",
    LABELS: "whether the labels fit the model",
    LOSS: "the loss of the metric",
    CALIBRATION: "the loss of calibration",
    "recall": "the recall of every class",
    "precision": "the precision of every class",
    RARE_CLASSES: "classes with few answers",
    AGREEMENT: "the agreement of labels",
}
"""By kind, what remains open where a check of the answers is not settled."""

ROUNDING = 1e-9
"""How much of a limit rounding can be: sums of a million float64 numbers keep nine digits."""

REASON_ERROR = (
    "float32 keeps 24 bits; kernels that add the same products in another order differ by about 3e-5 on real encoders, "
    "and a wrong mask, weight or epsilon changes outputs by 1e-3 and more: 1e-4 separates the two; rounding grows with "
    "the values, so an error in a channel with values beyond 1 is divided by the largest of them, and an output that "
    "stays below 0.01 is scaled up to it"
)
REASON_NOISE = (
    "rounding adds noise in proportion to the signal: fp16 rounds by 0.05% of a value and ends near 0.1%; bf16 rounds "
    "by 0.4%, eight times as much; int8 rounds by 1% of an activation's spread in each of some forty products and ends "
    "near 5 to 20%; a wrong scale, a saturated layer or a fault in the graph gives 50% and more, for any head and "
    "without labels; the spread is taken around the mean of each channel, since what is constant over the texts says "
    "nothing of any of them"
)
REASON_AGREEMENT = (
    "an application acts on the label, so a changed label counts even if the metric stayed the same: rounding only "
    "changes the labels of texts whose two best labels differ by less than the noise"
)
REASON_COSINE = (
    "embeddings are compared by cosine: a text whose embedding points elsewhere has other nearest neighbours; eager's "
    "mean embedding is taken from both sides first, since what all texts have in common hides how they differ"
)
REASON_FINITE = (
    "one NaN or infinity spoils every answer that it reaches, so padding and fully masked rows count too"
)
REASON_MARGIN = (
    "non-inferiority: the loss of the metric, from the same examples for both models, is within the margin at the "
    "stated confidence, which holds for all looks together"
)
REASON_SPEEDUP = "the recipe sets this limit; the geometric mean gives every timed shape the same weight"
REASON_SIBLING = (
    "there is no reason to ship a variant of lower precision that is slower than one of higher precision: where a "
    "steady timing shows that, the variant is withheld and the others are published"
)
REASON_SHIFT = (
    "the answer to a text must not depend on its padding or on the other texts in the batch; kernels for other shapes "
    "add the same products in another order, which in int8 can move a value to the next step, and no further"
)
REASON_FLIPS = (
    "a text must have the same label alone and in a batch; only a text whose two best labels differ by less than the "
    "change of a score may get another one"
)


def verdict_of(
    *,
    check: str,
    observed: float,
    comparison: Comparison,
    limit: float,
    unit: str,
    reason: str,
    kind: Kind,
    interval: tuple[float, float] | None = None,
    settled: bool = True,
) -> Verdict:
    """The verdict; a number that differs from the limit by rounding alone is on the limit, and so meets it."""
    on_limit = math.isclose(observed, limit, rel_tol=ROUNDING)
    return Verdict(
        check=check,
        observed=limit if on_limit else observed,
        comparison=comparison,
        limit=limit,
        unit=unit,
        reason=reason,
        kind=kind,
        interval=interval,
        settled=settled,
    )


def open_questions(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """What `verdicts` on answers leave open, each question once."""
    return tuple(
        dict.fromkeys(
            QUESTIONS[verdict.kind]
            for verdict in verdicts
            if not verdict.settled and verdict.kind in QUESTIONS
        )
    )


def listed(words: Sequence[str]) -> str:
    """`words`, of which there is at least one, as in a sentence."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def judge_error(inputs: str, largest: float, limit: float) -> Verdict:
    """Is the largest difference from eager PyTorch's outputs within the limit, relative to values beyond 1?"""
    return verdict_of(
        check=f"largest error on {inputs}",
        observed=largest,
        comparison="at most",
        limit=limit,
        unit="absolute or relative",
        reason=REASON_ERROR,
        kind=ERROR,
    )


def judge_noise(inputs: str, noise: float, limit: float) -> Verdict:
    """Is the root mean square of the differences small, compared with the spread of eager PyTorch's outputs?"""
    return verdict_of(
        check=f"noise on {inputs}",
        observed=noise,
        comparison="at most",
        limit=limit,
        unit="of the output's spread",
        reason=REASON_NOISE,
        kind=NOISE,
    )


def judge_agreement(agreed: int, decisions: int, limit: float, *, enough: bool = True) -> Verdict:
    """Do enough labels agree with eager PyTorch's? Not settled if they do but are not `enough` to show it."""
    return verdict_of(
        check=f"labels that agree with eager's, of {decisions:,}",
        observed=agreed / decisions,
        comparison="at least",
        limit=limit,
        unit="share",
        reason=REASON_AGREEMENT,
        kind=AGREEMENT,
        settled=enough or agreed / decisions < limit,
    )


def judge_cosine(cosines: Sequence[float], limit: float) -> Verdict:
    """Does the embedding of every text point in the same direction as eager PyTorch's?"""
    return verdict_of(
        check=f"lowest cosine with eager's embedding, of {len(cosines):,}",
        observed=min(cosines),
        comparison="at least",
        limit=limit,
        unit="cosine",
        reason=REASON_COSINE,
        kind="cosine",
    )


def judge_shift(stability: Stability, limit: float) -> Verdict:
    """Do the scores of a text stay the same when it is padded or batched?"""
    return verdict_of(
        check=f"largest change of a score when {stability.way}",
        observed=stability.largest,
        comparison="at most",
        limit=limit,
        unit="score",
        reason=REASON_SHIFT,
        kind="shift",
    )


def judge_flips(stability: Stability, limit: float) -> Verdict:
    """Do the labels of texts stay the same when these are padded or batched?"""
    return verdict_of(
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
    return verdict_of(
        check="non-finite outputs",
        observed=float(count),
        comparison="at most",
        limit=0.0,
        unit="values",
        reason=REASON_FINITE,
        kind="finite",
    )


def judge_loss(eager: Score, variant: Score, look: Look, gates: Gates, *, fitting: bool = True) -> Verdict:
    """Is the variant's metric worse than eager PyTorch's by no more than the margin, as seen at this look?

    The check is not settled where it could not have failed, or could not have been met: where the labels are not shown
    to be `fitting`, where eager scores so little that it cannot lose the margin, and where there are too few examples
    for any variant to show a loss within the margin. A loss that is shown to be beyond it settles the check anyway.
    """
    low, high = loss_interval(eager, variant, critical=look.critical)
    enough = smallest_upper_end(counting_examples(eager, variant), look.critical) <= gates.margin
    something_to_lose = not eager.higher_is_better or eager.value > gates.margin
    return verdict_of(
        check=f"loss of {eager.name}, upper end at {percent(gates.confidence)}",
        observed=high,
        comparison="at most",
        limit=gates.margin,
        unit=eager.name,
        reason=f"{REASON_MARGIN} ({_after(look)})",
        kind=LOSS,
        interval=(low, high),
        settled=(enough and fitting and something_to_lose) or low > gates.margin,
    )


def _after(look: Look) -> str:
    return f"after {look.examples:,} of {look.of:,} examples, critical value {look.critical:.3f}"


def judge_speedup(ratio: Estimate, gates: Gates, *, steady: bool) -> Verdict:
    """Is the variant as many times as fast as eager PyTorch as the recipe asks?"""
    return _speedup(
        ratio,
        EAGER,
        kind=SPEEDUP_OVER_EAGER,
        limit=gates.speedup,
        confidence=gates.confidence,
        reason=REASON_SPEEDUP,
        steady=steady,
    )


def judge_sibling(ratio: Estimate, sibling: str, gates: Gates, *, steady: bool) -> Verdict:
    """Is the variant faster than the variant `sibling`?"""
    return _speedup(
        ratio,
        sibling,
        kind=SPEEDUP_OVER_SIBLING,
        limit=gates.sibling_speedup,
        confidence=gates.confidence,
        reason=REASON_SIBLING,
        steady=steady,
    )


def _speedup(
    ratio: Estimate, over: str, *, kind: Kind, limit: float, confidence: float, reason: str, steady: bool
) -> Verdict:
    """Met if the whole interval is at or above the limit, not met if all of it is below, else not settled."""
    low, high = ratio.interval or (0.0, ratio.value)
    return verdict_of(
        check=f"speed-up over {over}, lower end at {percent(confidence)}",
        observed=low,
        comparison="at least",
        limit=limit,
        unit="times",
        reason=reason,
        interval=ratio.interval,
        kind=kind,
        settled=steady and ratio.interval is not None and (low >= limit or high < limit),
    )
