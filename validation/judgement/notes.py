"""What a reader must know of the evaluation to read a report's numbers."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from validation.answers.accuracy import Evaluation
from validation.gates import Gates
from validation.reports.numbers import apart, percent
from validation.statistics.noninferiority import smallest_upper_end
from validation.statistics.sequential import single_look


def describe(path: Path | None, evaluated: Evaluation | None) -> str:
    """One line on the texts: the file's name and digest, or that they are the demo's."""
    if evaluated is None:
        return "no texts"
    if path is None:
        return "texts of the demo, without labels"
    return f"{path.name}, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}…"


def notes(path: Path | None, evaluated: Evaluation | None, gates: Gates) -> tuple[str, ...]:
    """Sentences on labels, on what was not judged, truncated or left out, and on what loss the examples could show."""
    sentences = []
    if path is None:
        sentences.append(
            "No evaluation data were given, so that no metric was computed and accuracy was not judged."
        )
    if evaluated is None:
        sentences.append(
            "The demo does not have texts that this model can read: only generated inputs were compared."
        )
        return tuple(sentences)
    if evaluated.task.classifies and (shared := _shared(evaluated.reader.manifest.labels)):
        sentences.append(
            f"Several labels have the name {' or '.join(map(repr, shared))}: an application cannot tell them apart."
        )
    if evaluated.left_out:
        sentences.append(f"{evaluated.left_out} of the demo's texts do not fit this model and were left out.")
    if evaluated.truncated:
        sentences.append(
            f"{evaluated.truncated} of {len(evaluated.examples)} texts had more than "
            f"{evaluated.reader.longest} tokens and were cut off there."
        )
    if evaluated.repeated:
        sentences.append(
            f"{evaluated.repeated:,} of {evaluated.repeated + len(evaluated.examples):,} examples repeat the text of "
            "an earlier one and were left out."
        )
    if path is not None:
        examples = len(evaluated.examples)
        least = smallest_provable_loss(examples, gates.confidence)
        if least > gates.margin:
            needed = math.ceil(least * examples / gates.margin)
            excluded, margin = apart(100 * min(least, 1), 100 * gates.margin, digits=1, write=_decimal)
            sentences.append(
                f"{examples} examples are too few: even if no answer differs, they cannot exclude a loss of "
                f"{excluded}% at {percent(gates.confidence)} confidence, and the margin is {margin}%. So "
                f"the loss is not settled: give {needed:,} examples or more."
            )
        else:
            sentences.append(
                f"All {examples:,} different examples together could at best show a loss of {least:.2%} or more, at "
                f"{percent(gates.confidence)} confidence."
            )
    return tuple(sentences)


def _shared(labels: Sequence[str]) -> list[str]:
    """The names that more than one of `labels` has."""
    return [label for label, count in Counter(labels).items() if count > 1]


def _decimal(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"


def smallest_provable_loss(examples: int, confidence: float) -> float:
    """The smallest loss that `examples` can exclude: the interval's upper end if no answer differs."""
    return smallest_upper_end(examples, single_look(examples, confidence).critical)
