"""What decides the answers of a run: only a run of the same job continues what another one left."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

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

    def differences(self, before: "Job") -> str:
        """What is another one than in the job `before`, with both values."""
        phrases = (
            f"{_PHRASES[entry.name]} {_text(getattr(before, entry.name))}, and now {_text(getattr(self, entry.name))}"
            for entry in fields(self)
            if getattr(before, entry.name) != getattr(self, entry.name)
        )
        return "; ".join(phrases)


_PHRASES = {
    "input": "its input was",
    "input_bytes": "its input had this many bytes:",
    "input_modified": "its input was last changed at",
    "columns": "it read the columns",
    "release": "its release was",
    "version": "its release had the version",
    "variant": "its variant was",
    "threads": "its workers had this many threads:",
    "options": "its options were",
    "schema": "its files had the version",
}


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={column}" for name, column in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value) or "an unknown time"
