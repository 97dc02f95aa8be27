"""The checks that need labels besides that of the metric: whether labels fit, every class, and calibration."""

from collections.abc import Iterator

from distilforge.manifest import Verdict

from validation.answers.accuracy import Comparison
from validation.gates import Gates, Limits
from validation.judgement.verdicts import CALIBRATION, CHANCE, LABELS, RARE_CLASSES, Kind, verdict_of
from validation.reports.numbers import percent
from validation.statistics.chance import above_chance
from validation.statistics.classes import ClassLoss, ClassVerdicts, class_verdicts
from validation.statistics.metrics import Score
from validation.statistics.noninferiority import loss_interval
from validation.statistics.sequential import Look

REASON_CHANCE = (
    "a metric on labels that have nothing to do with the model's answers cannot show a loss: eager PyTorch must score "
    "more with the labels of its own examples than with those of others"
)
REASON_LABELS = (
    "labels with exchanged names, or in another order, make right answers wrong: no other naming of the labels may "
    "make more of eager PyTorch's answers right than the data's own"
)
REASON_RECALL = (
    "the metric hardly moves when a rare class is lost: of the answers that eager PyTorch gets right in any class, a "
    "variant may lose a tenth in all"
)
REASON_PRECISION = (
    "an application acts on a label where it is given: in any class, a variant may add wrong answers for a tenth of "
    "those that there are"
)
REASON_RARE = (
    "so few answers cannot show a loss within the limit; only one that is far beyond it settles this check"
)
REASON_CALIBRATION = (
    "applications set thresholds on probabilities: the Brier score shows answers that are too sure or not sure enough, "
    "even where the best label stays the same; a point of it is what one answer in a hundred costs that turns from "
    "certainly right to certainly wrong"
)


def judge_labels_fit(comparison: Comparison, gates: Gates) -> Iterator[Verdict]:
    """Do the labels of the data fit the model? These checks are about eager PyTorch's answers."""
    if comparison.chance is not None:
        yield _judge_chance(comparison.eager[0], comparison.chance, comparison.look, gates)
    renaming = comparison.renaming
    if renaming is not None:
        critical = comparison.look.critical
        shown = renaming.is_shown(critical)
        yield verdict_of(
            check="eager's answers that are right only under other names of the labels",
            observed=renaming.value if shown else 0.0,
            comparison="at most",
            limit=0.0,
            unit="share of texts",
            reason=REASON_LABELS,
            kind=LABELS,
            settled=shown or renaming.could_be_shown(critical),
        )


def _judge_chance(eager: Score, chance: Score, look: Look, gates: Gates) -> Verdict:
    """Does eager PyTorch beat chance? Not settled where its score is shown to be neither above nor below."""
    low, high = above_chance(eager, chance, look.critical)
    return verdict_of(
        check=f"eager's {eager.name} above chance, lower end at {percent(gates.confidence)}",
        observed=low,
        comparison="at least",
        limit=0.0,
        unit=eager.name,
        reason=REASON_CHANCE,
        kind=CHANCE,
        interval=(low, high),
        settled=low > 0 or high < 0,
    )


def judge_calibration(comparison: Comparison, limits: Limits, gates: Gates) -> Iterator[Verdict]:
    """Are the variant's probabilities as good as eager PyTorch's, by their Brier score?"""
    if comparison.calibration is None or limits.calibration is None:
        return
    low, high = loss_interval(*comparison.calibration, critical=comparison.look.critical)
    yield verdict_of(
        check=f"loss of the Brier score, upper end at {percent(gates.confidence)}",
        observed=high,
        comparison="at most",
        limit=limits.calibration,
        unit="Brier score",
        reason=REASON_CALIBRATION,
        kind=CALIBRATION,
        interval=(low, high),
        settled=high <= limits.calibration or low > limits.calibration,
    )


def judge_classes(comparison: Comparison, limits: Limits, gates: Gates) -> Iterator[Verdict]:
    """Is the recall and the precision of every class kept?

    A check is met if every class with enough answers is shown to be within the limit, not met if some class is shown
    to be beyond it, and else not settled. Classes with too few answers have a check of their own.
    """
    if not comparison.class_losses or limits.class_loss is None:
        return
    shown = _shown(comparison, limits.class_loss)
    yield from _judge_share(shown, "recall", "right answers lost", REASON_RECALL, limits.class_loss, gates)
    yield from _judge_share(
        shown, "precision", "wrong answers added", REASON_PRECISION, limits.class_loss, gates
    )
    if shown.rare:
        yield _judge_rare(shown, limits.class_loss)


def _judge_share(
    shown: ClassVerdicts, kind: Kind, change: str, reason: str, limit: float, gates: Gates
) -> Iterator[Verdict]:
    classes = [loss for loss in shown.enough if loss.share == kind]
    if not classes:
        return
    worst = shown.worst(classes)
    low, high = worst.interval(shown.tail)
    beyond = shown.is_beyond(worst)
    yield verdict_of(
        check=f"{change} of the worst of {len(classes)} classes, {worst.label}, "
        f"upper end at {percent(gates.confidence)}",
        observed=high,
        comparison="at most",
        limit=limit,
        unit="of the class",
        reason=reason,
        kind=kind,
        interval=(low, high),
        settled=high <= limit or beyond,
    )


def _judge_rare(shown: ClassVerdicts, limit: float) -> Verdict:
    """Are the classes with too few answers kept? Only a loss that is shown to be beyond the limit settles that."""
    worst = shown.worst(shown.rare)
    low, high = worst.interval(shown.tail)
    count = len({loss.label for loss in shown.rare})
    named = f" ({worst.share} of {worst.label})" if worst.value > 0 else ""
    return verdict_of(
        check=f"loss of the worst of {count} classes with few answers{named}",
        observed=high,
        comparison="at most",
        limit=limit,
        unit="of the class",
        reason=REASON_RARE,
        kind=RARE_CLASSES,
        interval=(low, high),
        settled=shown.is_beyond(worst),
    )


def rare_classes(comparison: Comparison, limits: Limits) -> tuple[ClassLoss, ...]:
    """The losses of classes with too few answers, those that seem largest first; empty where classes are not judged."""
    if limits.class_loss is None:
        return ()
    return tuple(sorted(_shown(comparison, limits.class_loss).rare, key=lambda loss: -loss.value))


def _shown(comparison: Comparison, limit: float) -> ClassVerdicts:
    return class_verdicts(comparison.class_losses, critical=comparison.look.critical, limit=limit)
