"""What decides the answers of a run: only a run of the same job continues what another one left."""

from collections.abc import Mapping
from dataclasses import dataclass

SCHEMA = 2
"""Version of the folder's files and of the output's columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The input, the release, and how they are used."""

    input: str
    """The URL of the input."""
    input_bytes: int
    """Its size."""
    input_modified: str
    """When it was changed, or a tag of its content; empty if the file system says neither."""
    columns: Mapping[str, str]
    """The columns of the input by the head's names for them."""
    release: str
    """The release's name."""
    version: str
    """The release's version."""
    variant: str
    """The variant that answers."""
    threads: int
    """The threads of each worker; another number may add up in another order."""
    options: str
    """The options of the session's call, as JSON."""
    schema: int = SCHEMA
    """Version of the folder's files."""

    def __str__(self) -> str:
        columns = ", ".join(f"{name}={column}" for name, column in self.columns.items())
        changed = f", changed {self.input_modified}" if self.input_modified else ""
        return (
            f"{self.input} ({self.input_bytes:,} bytes{changed}; {columns}), answered by "
            f"{self.release} {self.version}, {self.variant}, {self.threads} threads a worker, options {self.options}, "
            f"files of version {self.schema}"
        )
