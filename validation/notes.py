"""What a reader must know of the evaluation to read a report's numbers."""

import hashlib
import math
from pathlib import Path

from validation.accuracy import Evaluation
from validation.gates import Gates
from validation.noninferiority import smallest_upper_end
from validation.sequential import single_look


def describe(path: Path | None, evaluated: Evaluation | None) -> str:
    """One line on the texts: the file's name and digest, or that they are the demo's."""
    if evaluated is None:
        return "no texts"
    if path is None:
        return "texts of the demo, without labels"
    return f"{path.name}, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}…"


def notes(path: Path | None, evaluated: Evaluation | None, gates: Gates) -> tuple[str, ...]:
    """Sentences on what was not judged, what was truncated, and what so few examples cannot show."""
    sentences = []
    if path is None:
        sentences.append(
            "No evaluation data were given, so that no metric was computed and accuracy was not judged."
        )
    if evaluated is None:
        sentences.append("None of the demo's texts fits this model: only generated inputs were compared.")
        return tuple(sentences)
    if evaluated.left_out:
        sentences.append(f"{evaluated.left_out} of the demo's texts do not fit this model and were left out.")
    if evaluated.truncated:
        sentences.append(
            f"{evaluated.truncated} of {len(evaluated.examples)} texts had more than "
            f"{evaluated.reader.longest} tokens and were cut off there."
        )
    if path is not None:
        examples = len(evaluated.examples)
        least = smallest_provable_loss(examples, gates.confidence)
        if least > gates.margin:
            needed = math.ceil(least * examples / gates.margin)
            sentences.append(
                f"{examples} examples are too few: even if no answer differs, they cannot exclude a loss of "
                f"{least:.1%} at {gates.confidence:.0%} confidence, and the margin is {gates.margin:.1%}. So the loss "
                f"is not settled: give {needed:,} examples or more."
            )
    return tuple(sentences)


def smallest_provable_loss(examples: int, confidence: float) -> float:
    """The smallest loss that `examples` can exclude: the interval's upper end if no answer differs."""
    return smallest_upper_end(examples, single_look(examples, confidence).critical)
