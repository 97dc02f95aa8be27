"""What subjects on a CPU and on a GPU have in common: what they need, and how they are prepared."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from distilforge.timing.feeds import Ids

from pipeline.store.versions import installed

Logits = npt.NDArray[np.float32]
"""(batch, labels)."""
Answer = Callable[[Ids, Ids], Logits]
"""From input_ids and attention_mask, both int64 of (batch, tokens), to logits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSubject:
    """A subject of a benchmark, before it is opened."""

    name: str
    """The name on the command line and of the folder in the cache."""
    title: str
    """The name in tables."""
    settings: str
    """How the subject is set up, so that readers can judge whether this is its best."""
    packages: tuple[str, ...]
    """The packages that it needs."""
    prepare: Callable[[Path, Path], None] | None
    """`prepare(checkpoint, folder)` writes the files that the subject opens; None if the user gives the file."""
    family: str = ""
    """The common title of several presets of one peer, of which the fastest one counts at each shape."""

    install: str = ""
    """The command that installs the packages of an optional subject; "" where the extra `bench` has them."""
    obstacle: Callable[[], str | None] | None = None
    """Why this machine cannot run it, as a clause, where it has the packages; None if every machine can."""

    @property
    def description(self) -> str:
        """The settings, with everything else that readers must know."""
        return self.settings

    def missing(self) -> tuple[str, ...]:
        """The packages that it needs and that are not installed."""
        return tuple(package for package in self.packages if installed(package) is None)
