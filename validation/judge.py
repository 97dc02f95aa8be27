"""One variant, judged: what was found about it, held against the limits of its precision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from distilforge.manifest import Metric, Variant, Verdict

from validation import oracle, verdicts
from validation.accuracy import Comparison
from validation.agreement import Tally
from validation.gate import Gates, Limits
from validation.report import AGREEMENT, Agreement, Stability, VariantReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured about one variant; `compared` is None without texts, `stability` empty.

    absent: why it cannot run on this machine, where the graph it was made of answered for it; empty where it ran.
    """

    variant: Variant
    tallies: Sequence[Tally]
    compared: Comparison | None
    stability: tuple[Stability, ...]
    absent: str = ""


def judge(found: Found, gates: Gates) -> VariantReport:
    """The report on one variant's answers; validation.speed adds how fast it is."""
    compared = found.compared
    look = compared.look if compared and compared.eager else None
    absent = [oracle.note(found.variant, found.absent, look)] if found.absent else []
    widened = [sentence] if (sentence := gates.widened(found.variant.precision)) else []
    return VariantReport(
        name=found.variant.name,
        metrics=_metrics(compared),
        agreements=_agreements(found),
        label_agreement=compared.agreed / compared.decisions if compared and compared.decisions else None,
        decisions=compared.decisions if compared else 0,
        verdicts=judge_answers(found, gates),
        stability=found.stability,
        notes=(*absent, *widened, *_dependence(found.stability, _depends_on_batch(found.variant, gates))),
    )


def decided(found: Found, gates: Gates) -> bool:
    """Whether a variant need not answer more examples: all is met, or its loss is surely beyond the margin.

    Stopping for a loss that is too large makes passing rarer, never more frequent.
    """
    answers = judge_answers(found, gates)
    return all(verdict.outcome == "met" for verdict in answers) or any(map(lost, answers))


def lost(verdict: Verdict) -> bool:
    """Whether `verdict` shows that the loss is beyond the margin, and not only that it may be."""
    return (
        verdict.kind == verdicts.LOSS and verdict.interval is not None and verdict.interval[0] > verdict.limit
    )


def judge_answers(found: Found, gates: Gates) -> tuple[Verdict, ...]:
    """The checks of what a variant answers, and none of its speed."""
    limits, compared = gates.of(found.variant.precision), found.compared
    return (
        verdicts.judge_finite(sum(tally.non_finite for tally in found.tallies)),
        *_agreeing(_agreements(found), limits),
        *(_answering(compared, limits, gates) if compared is not None else ()),
        *(() if _depends_on_batch(found.variant, gates) else _stable(found, limits)),
    )


def _agreements(found: Found) -> tuple[Agreement, ...]:
    return tuple(tally.agreement for tally in found.tallies if tally.agreement.values)


def _metrics(compared: Comparison | None) -> tuple[Metric, ...]:
    """The task's metrics, and how often the variant decides as eager does, which is a metric that eager meets whole."""
    if compared is None or not compared.decisions:
        return compared.metrics if compared else ()
    agreement = Metric(
        name=AGREEMENT,
        eager=1.0,
        variant=compared.agreed / compared.decisions,
        examples=compared.decisions,
    )
    return (*compared.metrics, agreement)


def _agreeing(agreements: Sequence[Agreement], limits: Limits) -> Iterator[Verdict]:
    for inputs in dict.fromkeys(agreement.inputs for agreement in agreements):
        alike = [agreement for agreement in agreements if agreement.inputs == inputs]
        if limits.error is not None:
            yield verdicts.judge_error(inputs, max(each.largest for each in alike), limits.error)
        if limits.noise is not None:
            yield verdicts.judge_noise(inputs, max(each.noise for each in alike), limits.noise)


def _answering(compared: Comparison, limits: Limits, gates: Gates) -> Iterator[Verdict]:
    if compared.eager:
        yield verdicts.judge_loss(compared.eager[0], compared.variant[0], compared.look, gates)
    if compared.classifies and compared.decisions and limits.agreement is not None:
        yield verdicts.judge_agreement(compared.agreed, compared.decisions, limits.agreement)
    if compared.cosines and limits.cosine is not None:
        yield verdicts.judge_cosine(compared.cosines, limits.cosine)


def _stable(found: Found, limits: Limits) -> Iterator[Verdict]:
    classifies = found.compared is not None and found.compared.classifies
    for stability in found.stability:
        if limits.shift is not None:
            yield verdicts.judge_shift(stability, limits.shift)
        if classifies and stability.decisions and limits.flips is not None:
            yield verdicts.judge_flips(stability, limits.flips)


def _depends_on_batch(variant: Variant, gates: Gates) -> str:
    """The pass by which the variant's answers depend on what is in the batch, or nothing."""
    return next((each.name for each in variant.passes if each.name in gates.batch_dependent), "")


def _dependence(stability: Sequence[Stability], dependent: str) -> Iterator[str]:
    """For a variant that cannot be independent of the batch: by how much it is not."""
    if not dependent or not stability:
        return
    changes = " and ".join(f"by up to {each.largest:.2g} when {each.way}" for each in stability)
    flips = " and ".join(f"{each.changed} when {each.way}" for each in stability)
    decisions = stability[0].decisions
    yield (
        f"The same text answers differently alone, padded and in a batch, because {dependent} scales activations by "
        f"what is in the batch. Over {stability[0].texts} texts, scores change {changes}"
        + (f"; of {decisions} answers, {flips} become others." if decisions else ".")
    )
