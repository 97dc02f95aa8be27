"""Subjects: what is timed, one file here each. A new file is a new subject; nothing else needs an edit.

Their packages are imported where they are prepared or opened, so that one that is absent costs its own row only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from distilforge.timing.feeds import Ids

from pipeline.registry import Registry
from pipeline.store.versions import installed

Logits = npt.NDArray[np.float32]
Answer = Callable[[Ids, Ids], Logits]
"""(input_ids, attention_mask), both int64 of (batch, tokens), to logits of (batch, labels)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What one subject needs, how it is made from a checkpoint and how it is opened.

    settings: how it is set up, for readers to judge whether that is its best. family: presets of one peer share it, and
    at each shape the fastest of them stands for the peer. `prepare(checkpoint, folder)` writes what
    `open(folder, threads)` reads; the two run in different processes.
    """

    name: str
    title: str
    settings: str
    packages: tuple[str, ...]
    prepare: Callable[[Path, Path], None]
    open: Callable[[Path, int], Answer]
    family: str = ""

    def missing(self) -> tuple[str, ...]:
        """Packages that it needs and that are not installed."""
        return tuple(package for package in self.packages if installed(package) is None)


subjects: Registry[Subject] = Registry("subject", __name__)
