"""Logits to probabilities, in float32 as the models were trained."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def softmax(logits: Floats) -> Floats:
    """Probabilities along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def sigmoid(logits: Floats) -> Floats:
    """Probability of each logit on its own; exact, and without overflow, for large ones."""
    decay = np.exp(-np.abs(logits))
    probabilities: Floats = np.where(logits >= 0, 1, decay) / (1 + decay)
    return probabilities
