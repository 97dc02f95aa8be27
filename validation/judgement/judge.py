"""The report on one variant: what was observed, compared with the limits of its precision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from distilforge.manifest import Metric, Variant, Verdict

from validation.answers import oracle
from validation.answers.accuracy import Comparison
from validation.answers.agreement import Tally, noise
from validation.gates import Gates, Limits
from validation.judgement import label_verdicts, verdicts
from validation.judgement.power import power_notes
from validation.reports.report import AGREEMENT, Agreement, Stability, VariantReport
from validation.statistics.classes import more_may_show_a_loss
from validation.statistics.noninferiority import smallest_upper_end

WIDENED = "Held to wider limits than usual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What was observed of one variant's answers."""

    variant: Variant
    """The variant."""
    tallies: Sequence[Tally]
    """The differences of its outputs from eager PyTorch's, one tally for each output on each kind of inputs."""
    compared: Comparison | None
    """Its answers to the evaluation texts beside eager PyTorch's; None without texts."""
    stability: tuple[Stability, ...]
    """How its answers change when padded and batched; empty without texts."""
    obstacle: str = ""
    """Why it cannot run on this machine and its ONNX graph answered in its place; empty if the variant itself ran."""


def judge(observations: Observations, gates: Gates) -> VariantReport:
    """The report on one variant's answers; `validation.latency.speed` adds its speed."""
    comparison = observations.compared
    return VariantReport(
        name=observations.variant.name,
        metrics=_metrics(comparison),
        agreements=_agreements(observations),
        label_agreement=comparison.agreed / comparison.decisions
        if comparison and comparison.decisions
        else None,
        decisions=comparison.decisions if comparison else 0,
        verdicts=judge_answers(observations, gates),
        stability=observations.stability,
        notes=tuple(_notes(observations, gates)),
        widened=gates.widened(observations.variant.precision),
    )


def decided(observations: Observations, gates: Gates) -> bool:
    """Whether a variant need not answer more examples: all checks are met, or its loss is beyond the margin.

    To stop for a loss that is too large can only make it rarer that a variant passes. Classes with few answers do not
    keep it from stopping, unless some of them seem to be lost.
    """
    answers = judge_answers(observations, gates)
    if any(map(shows_loss, answers)):
        return True
    limit, comparison = gates.of(observations.variant.precision).class_loss, observations.compared
    if limit is not None and comparison and more_may_show_a_loss(comparison.class_losses, limit=limit):
        return False
    return all(verdict.outcome == "met" or _is_open(verdict) for verdict in answers)


def _is_open(verdict: Verdict) -> bool:
    """Whether `verdict` is on classes with few answers and not settled."""
    return verdict.kind == verdicts.RARE_CLASSES and not verdict.settled


def shows_loss(verdict: Verdict) -> bool:
    """Whether `verdict` shows that the loss is beyond the margin: the lower end of its interval is."""
    return (
        verdict.kind == verdicts.LOSS and verdict.interval is not None and verdict.interval[0] > verdict.limit
    )


def judge_answers(observations: Observations, gates: Gates) -> tuple[Verdict, ...]:
    """The checks of a variant's answers, without those of its speed."""
    limits, comparison = gates.of(observations.variant.precision), observations.compared
    return (
        verdicts.judge_finite(sum(tally.non_finite for tally in observations.tallies)),
        *_judge_differences(_agreements(observations), limits),
        *(_judge_comparison(comparison, limits, gates) if comparison is not None else ()),
        *(
            ()
            if _batch_dependent_pass(observations.variant, gates)
            else _judge_stability(observations, limits)
        ),
    )


def _agreements(observations: Observations) -> tuple[Agreement, ...]:
    """The differences of each output on each kind of inputs.

    Random tokens may leave an output almost as it is, so the noise on them is in units of the spread on texts if that
    is larger.
    """
    agreements = [agreement for tally in observations.tallies if (agreement := tally.agreement).values]
    spreads: dict[str, float] = {}
    for agreement in agreements:
        spreads[agreement.output] = max(spreads.get(agreement.output, 0.0), agreement.spread)
    return tuple(
        replace(agreement, noise=noise(agreement.root_mean_square, spreads[agreement.output]))
        for agreement in agreements
    )


def _metrics(comparison: Comparison | None) -> tuple[Metric, ...]:
    """The task's metrics, and the share of decisions that agree with eager PyTorch's, which for eager itself is 1."""
    if comparison is None or not comparison.decisions:
        return comparison.metrics if comparison else ()
    agreement = Metric(
        name=AGREEMENT,
        eager=1.0,
        variant=comparison.agreed / comparison.decisions,
        examples=comparison.decisions,
    )
    return (*comparison.metrics, agreement)


def _judge_differences(agreements: Sequence[Agreement], limits: Limits) -> Iterator[Verdict]:
    for inputs in dict.fromkeys(agreement.inputs for agreement in agreements):
        same_inputs = [agreement for agreement in agreements if agreement.inputs == inputs]
        if limits.error is not None:
            largest = max(agreement.scaled for agreement in same_inputs)
            yield verdicts.judge_error(inputs, largest, limits.error)
        if limits.noise is not None:
            highest = max(agreement.noise for agreement in same_inputs)
            yield verdicts.judge_noise(inputs, highest, limits.noise)


def _judge_comparison(comparison: Comparison, limits: Limits, gates: Gates) -> Iterator[Verdict]:
    if comparison.eager:
        fit = tuple(label_verdicts.judge_labels_fit(comparison, gates))
        yield from fit
        yield verdicts.judge_loss(
            comparison.eager[0],
            comparison.variant[0],
            comparison.look,
            gates,
            fitting=all(verdict.outcome == "met" for verdict in fit),
        )
        yield from label_verdicts.judge_calibration(comparison, limits, gates)
        yield from label_verdicts.judge_classes(comparison, limits, gates)
    if comparison.classifies and comparison.decisions and limits.agreement is not None:
        # Some examples may have no decision
        examples = min(comparison.look.examples, comparison.decisions)
        least = smallest_upper_end(examples, comparison.look.critical)
        yield verdicts.judge_agreement(
            comparison.agreed,
            comparison.decisions,
            limits.agreement,
            # A changed label costs a right answer at most
            enough=least <= max(1 - limits.agreement, gates.margin),
        )
    if comparison.cosines and limits.cosine is not None:
        yield verdicts.judge_cosine(comparison.cosines, limits.cosine)


def _judge_stability(observations: Observations, limits: Limits) -> Iterator[Verdict]:
    classifies = observations.compared is not None and observations.compared.classifies
    for stability in observations.stability:
        if limits.shift is not None:
            yield verdicts.judge_shift(stability, limits.shift)
        if classifies and stability.decisions and limits.flips is not None:
            yield verdicts.judge_flips(stability, limits.flips)


def _notes(observations: Observations, gates: Gates) -> Iterator[str]:
    """What a reader must know of the variant, one sentence each."""
    comparison = observations.compared
    if observations.obstacle:
        look = comparison.look if comparison and comparison.eager else None
        yield oracle.note(observations.variant, observations.obstacle, look)
    if phrases := gates.widened(observations.variant.precision):
        yield f"{WIDENED}: {'; '.join(phrases)}."
    if comparison:
        yield from power_notes(comparison, gates.of(observations.variant.precision), gates)
    dependent = _batch_dependent_pass(observations.variant, gates)
    if dependent and observations.stability:
        yield _dependence_note(observations.stability, dependent)


def _batch_dependent_pass(variant: Variant, gates: Gates) -> str:
    """The name of the pass that makes the variant's answers depend on the rest of the batch; empty without one."""
    return next((applied.name for applied in variant.passes if applied.name in gates.batch_dependent), "")


def _dependence_note(stability: Sequence[Stability], dependent: str) -> str:
    """How much the answers of a variant depend on the batch, for one that cannot be independent of it."""
    changes = " and ".join(f"by up to {way.largest:.2g} when {way.way}" for way in stability)
    flips = " and ".join(f"{way.changed} when {way.way}" for way in stability)
    decisions = stability[0].decisions
    return (
        f"The answer to a text depends on its padding and on the other texts in the batch, because {dependent} scales "
        f"activations by what is in the batch. Over {stability[0].texts} texts, scores change {changes}"
        + (f"; of {decisions} answers, {flips} change." if decisions else ".")
    )
