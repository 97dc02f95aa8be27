"""What a reader must know to read a report's numbers."""

import hashlib
import math
from pathlib import Path

from validation.accuracy import Evaluation
from validation.gate import Gates
from validation.noninferiority import unseen
from validation.sequential import single_look


def describe(path: Path | None, evaluated: Evaluation | None) -> str:
    """One line on the texts: the file's name and digest, or that they are the demo's."""
    if evaluated is None:
        return "no texts"
    if path is None:
        return "texts of the demo, without labels"
    return f"{path.name}, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}…"


def notes(path: Path | None, evaluated: Evaluation | None, gates: Gates) -> tuple[str, ...]:
    """Sentences on what was not judged, what was shortened, and what so few examples cannot show."""
    found = []
    if path is None:
        found.append(
            "No evaluation data were given, so that no metric was computed and accuracy was not judged."
        )
    if evaluated is None:
        found.append("None of the demo's texts fits this model: only generated inputs were compared.")
        return tuple(found)
    if evaluated.left_out:
        found.append(f"{evaluated.left_out} of the demo's texts do not fit this model and were left out.")
    if evaluated.shortened:
        found.append(
            f"{evaluated.shortened} of {len(evaluated.examples)} texts had more than "
            f"{evaluated.served.longest} tokens and were cut off there."
        )
    if path is not None:
        least = least_shown(len(evaluated.examples), gates.confidence)
        if least > gates.margin:
            needed = math.ceil(least * len(evaluated.examples) / gates.margin)
            found.append(
                f"{len(evaluated.examples)} examples are few: even where no answer differs, a loss of {least:.1%} "
                f"cannot be excluded at {gates.confidence:.0%}, and the margin is {gates.margin:.1%}. So the loss is "
                f"not settled: give {needed:,} examples or more."
            )
    return tuple(found)


def least_shown(examples: int, confidence: float) -> float:
    """The upper end of the loss where none of `examples` differs."""
    return unseen(examples, single_look(examples, confidence).critical)
