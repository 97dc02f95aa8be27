"""How far the logits of each row are from those of a reference, to show that all rows compute the same."""

import numpy as np
from distilforge.timing.rounds import Timing

from bench.contest.base_subject import Logits


def largest(timing: Timing, reference: str) -> dict[str, float]:
    """The largest difference of any logit, by row, over the shapes that the row and `reference` answered.

    Empty if `reference` was not timed.
    """
    logits: dict[tuple[str, str], Logits] = {
        (name, str(shape)): np.array(facts["logits"], dtype=np.float32)
        for (name, shape), facts in timing.facts.items()
    }
    differences: dict[str, float] = {}
    for (name, shape), values in logits.items():
        if (reference, shape) in logits:
            difference = float(np.abs(values - logits[reference, shape]).max())
            differences[name] = max(differences.get(name, 0.0), difference)
    return differences
