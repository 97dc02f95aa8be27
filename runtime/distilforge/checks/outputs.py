"""Refuse outputs that hold NaN or infinity, which engines of reduced precision can produce."""

import math
from collections.abc import Mapping

import numpy as np

from distilforge.engine import Array
from distilforge.errors import EngineError


def check_finite(outputs: Mapping[str, Array], engine: str) -> None:
    """Raise EngineError if an output holds NaN or infinity; the message says how many values, in how many rows.

    `outputs` are arrays by name, whose first axis is the batch. `engine` names the engine in the message.
    """
    for name, array in outputs.items():
        if not np.issubdtype(array.dtype, np.floating):
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            # One pass without a temporary array: a finite sum has only finite terms
            if math.isfinite(float(array.sum(dtype=np.float64))):
                continue
        bad = ~np.isfinite(array)
        count = int(bad.sum())
        if count == 0:
            continue
        nans = int(np.isnan(array).sum())
        rows = np.flatnonzero(bad.reshape(len(array), -1).any(axis=1)) if array.ndim else ()
        raise EngineError(
            f"the output {name!r} of {engine} holds {nans} NaN and {count - nans} infinite of {array.size} values, "
            f"in {len(rows)} of {len(array) if array.ndim else 1} rows",
            hint="its precision overflows on this input; open a variant of higher precision, "
            "and report the input to whoever built the release",
        )
