"""How far the logits of each row are from a reference's, to show that all compute the same."""

import numpy as np
from distilforge.timing.rounds import Timing

from bench.subjects import Logits


def largest(timing: Timing, reference: str) -> dict[str, float]:
    """Of each row, over the shapes that it and `reference` answered; empty where `reference` was not timed."""
    logits: dict[tuple[str, str], Logits] = {
        (name, str(shape)): np.array(facts["logits"], dtype=np.float32)
        for (name, shape), facts in timing.facts.items()
    }
    differences: dict[str, float] = {}
    for (name, shape), answered in logits.items():
        if (reference, shape) in logits:
            difference = float(np.abs(answered - logits[reference, shape]).max())
            differences[name] = max(differences.get(name, 0.0), difference)
    return differences
