"""What a run is asked, and what it gives."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

MOST_WORKERS = 1024
"""The most workers of a run, on a cluster too."""
MOST_ON_GPU = 4
"""The most workers by default that share this machine's GPU: each has its own copy of the model there."""
SAVE_SECONDS = 10.0
"""Default time between two savings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to answer a file."""

    input: str
    """The path or URL of the input; its suffix says its format."""
    output: str
    """The path or URL of the output; its suffix says its format."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The column of the input by the head's name for it, where the two differ."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Options of the session's call, such as {"truncation": "truncate"}."""
    variant: str | None = None
    """The variant that answers; None means the one that an earlier run used, or else the best one for this machine."""
    workers: int | None = None
    """How many workers answer; None means one for each core, or as many as `threads` leave room for.

    On a GPU it is at most MOST_ON_GPU.
    """
    threads: int = 1
    """The threads of each worker."""
    force: bool = False
    """Whether to begin again and to replace the output, whatever is there."""
    save_seconds: float = SAVE_SECONDS
    """How often finished answers are saved; a run that is killed loses what came after the last time."""
    ray: bool = False
    """Whether actors on the Ray cluster of RAY_ADDRESS answer, instead of processes on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished output."""

    output: str
    """Its URL."""
    rows: int
    """How many rows it has, as many as the input."""
    errors: int
    """How many of them are error rows."""
    reused: int
    """How many rows earlier runs had answered."""
    seconds: float
    """How long this run took."""

    def to_json(self) -> str:
        """The result as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def __str__(self) -> str:
        errors = f", {self.errors:,} of them errors" if self.errors else ""
        if 0 < self.rows == self.errors:
            errors = ", all of them errors: the column 'error' says why"
        reused = f"; {self.reused:,} were answered before" if self.reused else ""
        return f"{self.output}: {self.rows:,} rows{errors}{reused}"
