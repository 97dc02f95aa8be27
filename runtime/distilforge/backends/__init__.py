"""Backends: what runs the variants of a target, one file per target. To add one, add a file and edit nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from distilforge.engine import Engine
from distilforge.manifest import Manifest, Variant
from distilforge.registry import Registry


class Backend(Protocol):
    """Loads the variants of one target."""

    @property
    def preference(self) -> int:
        """Of the variants that can run on this machine, one of the backend with the highest preference is chosen."""

    def check_settings(self, variant: Variant) -> None:
        """Raise ReleaseError if `variant.session` has a setting that this backend does not allow; quick."""

    def obstacle(self, variant: Variant) -> str | None:
        """Why `variant` cannot run on this machine, None if it can; quick, since it is called for every variant."""

    def prepare(self) -> None:
        """Import the engine's package, while `open` checks the files; UnavailableError where the import fails."""

    def load(
        self,
        variant: Variant,
        folder: Path,
        *,
        manifest: Manifest | None,
        providers: Sequence[str] | None,
        threads: int | None,
    ) -> Engine:
        """Load the variant's files, whose checksums were verified.

        `manifest` is that of its release, None for a variant without a release. `providers` are the engine's own names
        and must all be used; None for the default. `threads` is how many threads one run may use, None for the engine's
        default. Raises UnavailableError and ReleaseError.
        """


backends: Registry[Backend] = Registry(__name__)
