"""What the evaluation data of a variant could have shown, in sentences for its card."""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal

from validation.answers.accuracy import Comparison
from validation.gates import Gates, Limits
from validation.judgement.label_verdicts import judge_labels_fit, rare_classes
from validation.judgement.verdicts import LABELS
from validation.reports.numbers import apart, percent
from validation.statistics.classes import ClassLoss
from validation.statistics.noninferiority import counting_examples, smallest_upper_end

MOST_NAMES = 8
"""How many classes a sentence names."""
_HUGE = 1000


def power_notes(comparison: Comparison, limits: Limits, gates: Gates) -> Iterator[str]:
    """What loss the examples could have shown, what no metric is about, whether labels fit, and too rare classes."""
    if not comparison.eager:
        return
    yield _power(comparison, gates)
    if comparison.unjudged:
        yield comparison.unjudged
    if sentence := misfit_note(comparison, gates):
        yield sentence
    rare = rare_classes(comparison, limits)
    if rare:
        yield _rare(rare, comparison.look.examples)


def _power(comparison: Comparison, gates: Gates) -> str:
    """The smallest loss that the examples could have shown: with it, one of them would have shown a loss."""
    examples, metric = comparison.look.examples, comparison.eager[0].name
    counting = counting_examples(comparison.eager[0], comparison.variant[0])
    least = smallest_upper_end(counting, comparison.look.critical)
    counted = f" {counting:,} of them count for {metric}." if counting < examples else ""
    if least <= gates.margin:
        return (
            f"{examples:,} different examples were judged.{counted} They could show a loss of {metric} of "
            f"{_short(100 * least)} points or more, at {percent(gates.confidence)} confidence in all looks together."
        )
    needed = math.ceil(least * examples / gates.margin)
    excluded, margin = apart(100 * min(least, 1), 100 * gates.margin, digits=2, write=_short)
    return (
        f"The loss of {metric} is not settled: {examples:,} different examples are too few.{counted} Even if no answer "
        f"differs, they cannot exclude a loss of {excluded} points at {percent(gates.confidence)} confidence, and the "
        f"margin is {margin}; {needed:,} could."
    )


def misfit_note(comparison: Comparison, gates: Gates) -> str:
    """That the labels do not fit the model, or are not shown to; empty where they do."""
    verdicts = tuple(judge_labels_fit(comparison, gates))
    if all(verdict.outcome == "met" for verdict in verdicts) or comparison.chance is None:
        return ""
    eager = comparison.eager[0]
    failed = not all(verdicts)
    sentence = (
        f"{'The labels do not fit the model' if failed else 'It is not shown that the labels fit the model'}: eager "
        f"PyTorch's {eager.name} is {_value(eager.value)}, and that of chance, with the labels of other examples, is "
        f"{_value(comparison.chance.value)}"
    )
    renaming = comparison.renaming
    if renaming is not None and any(verdict.kind == LABELS and not verdict for verdict in verdicts):
        pairs = [f"{given!r} seems to be the model's {name!r}" for given, name in renaming.names]
        sentence += f"; in the data, {_listed(pairs)}"
    return f"{sentence}. So the loss is not settled."


def _rare(rare: Sequence[ClassLoss], examples: int) -> str:
    """Which classes have so few answers that a loss of them need not have shown."""
    lost = [
        f"{loss.label} (of {loss.of} right answers, {loss.lost} lost and {loss.gained} gained)"
        for loss in rare
        if loss.share == "recall" and loss.lost > loss.gained
    ]
    names = list(dict.fromkeys(loss.label for loss in rare))
    sentence = f"Among the {examples:,} examples, answers of {_listed(names)} are too few to settle whether it is kept"
    return f"{sentence}; some of these were lost: {_listed(lost)}." if lost else f"{sentence}."


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _short(number: float, digits: int = 2) -> str:
    """`number` with so many significant digits, and without an exponent."""
    return format(Decimal(f"{number:.{digits}g}"), "f")


def _value(metric: float) -> str:
    """The value of a metric; R2 has no lower bound."""
    return f"{metric:.3f}" if abs(metric) < _HUGE else f"{metric:.1e}"
