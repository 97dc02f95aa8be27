"""Logits to probabilities, in float32, the precision in which the models were trained."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def softmax(logits: Floats) -> Floats:
    """Probabilities along the last axis, of the same shape as `logits`."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def sigmoid(logits: Floats) -> Floats:
    """The probability of each logit on its own (a sigmoid), of the same shape; large logits do not overflow."""
    decay = np.exp(-np.abs(logits))
    probabilities: Floats = np.where(logits >= 0, 1, decay) / (1 + decay)
    return probabilities
