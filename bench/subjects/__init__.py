"""The subjects that are timed on a CPU, one per file. A new file is a new subject; nothing else needs an edit.

A subject imports its packages when it is prepared or opened, so a missing package costs only its own row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from distilforge.timing.feeds import Ids

from bench.base_subject import BaseSubject
from pipeline.registry import Registry

Logits = npt.NDArray[np.float32]
"""(batch, labels)."""
Answer = Callable[[Ids, Ids], Logits]
"""From input_ids and attention_mask, both int64 of (batch, tokens), to logits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(BaseSubject):
    """A subject on a CPU."""

    open: Callable[[Path, int], Answer]
    """`open(folder, threads)` reads the files that `prepare` wrote, in the subject's own process."""


subjects: Registry[Subject] = Registry("subject", __name__)
