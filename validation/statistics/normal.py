"""The standard normal distribution.

scipy.stats has it too, and takes as long to import as everything else of a build that has nothing to do.
"""

import numpy as np
from scipy import special

from validation.statistics.metrics import Array


def upper_tail(value: float) -> float:
    """The probability of more than `value`."""
    return float(special.ndtr(-value))


def upper_tails(values: Array) -> Array:
    """The probability of more than each of `values`, in their shape."""
    tails: Array = special.ndtr(-values)
    return tails


def log_upper_tail(value: float) -> float:
    """The logarithm of the probability of more than `value`, also where float64 would round that to 0."""
    return float(special.log_ndtr(-value))


def quantile(probability: float) -> float:
    """The value that is not exceeded with `probability`."""
    return float(special.ndtri(probability))


def densities(values: Array) -> Array:
    """The density at each of `values`, in their shape."""
    at_values: Array = np.exp(-(values**2) / 2) / np.sqrt(2 * np.pi)
    return at_values
