"""Inference engines: one file a target. A new file here is a new target; nothing else needs an edit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from distilforge.feeds import Array
from distilforge.manifest import Variant
from distilforge.registry import Registry


class Engine(Protocol):
    """One loaded variant; safe to run from several threads at once."""

    @property
    def providers(self) -> tuple[str, ...]:
        """What computes, by the engine's own names, first choice first."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Every output by name, for feeds that were checked; EngineError where the engine fails."""


class Backend(Protocol):
    """What can load the variants of one target."""

    @property
    def preference(self) -> int:
        """Among variants that can run here, the backend with the highest is chosen."""

    def obstacle(self, variant: Variant) -> str | None:
        """Why this variant cannot run here, or None where it can; quick, for it is asked of every variant."""

    def prepare(self) -> None:
        """Import the engine's package, which `open` does while files are checked; UnavailableError where it fails."""

    def load(
        self, variant: Variant, folder: Path, *, providers: Sequence[str] | None, threads: int | None
    ) -> Engine:
        """Load the variant's files, whose checksums have been verified.

        `providers` are the engine's own names and must all be used; `threads` is how many threads one run may use,
        None for the engine's default. Raises UnavailableError and ReleaseError.
        """


backends: Registry[Backend] = Registry(__name__)
