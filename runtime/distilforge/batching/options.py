"""How callers are answered together."""

import math
from dataclasses import dataclass
from typing import Literal, TypeGuard

from distilforge.checks.arguments import MOST_THREADS, check_option, check_positive
from distilforge.errors import InputError

WhenFull = Literal["wait", "error"]
MAX_DELAY_SECONDS = 0.002
"""How long a request waits for others, unless it is told otherwise."""
MAX_PADDING = 0.25
"""How much of a run may be padding, unless it is told otherwise."""
MAX_WAITING = 256
"""How many requests may wait, unless it is told otherwise."""
_MOST_DELAY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingOptions:
    """The options of `Session.batched`."""

    max_delay: float
    """The longest time in seconds that a request waits for others while the engine is free."""
    max_tokens: int
    """The most tokens of a run, padding included; a request that has more runs alone."""
    max_padding: float
    """The most of a run's tokens that may be padding, from 0 to 1."""
    max_waiting: int
    """The most requests that wait, and the most calls of `answer` in progress."""
    timeout: float | None
    """The longest time in seconds that a request waits for its answer; None is for ever."""
    when_full: WhenFull
    """What a request does that finds no room: "wait" for it, or raise the "error" BusyError."""
    runs: int
    """How many runs execute at the same time."""

    def __post_init__(self) -> None:
        """Raise InputError for a value out of bounds."""
        _check_seconds("max_delay", self.max_delay, 0.0, _MOST_DELAY_SECONDS)
        if self.timeout is not None:
            _check_seconds("timeout", self.timeout, 0.001, 86_400.0)
        if not _is_number(self.max_padding) or not 0.0 <= self.max_padding <= 1.0:
            raise InputError(
                f"max_padding must be from 0 to 1, found {self.max_padding!r:.80}",
                hint="0.25 lets a quarter of a run be padding",
            )
        check_positive("max_tokens", self.max_tokens)
        check_positive("max_waiting", self.max_waiting)
        check_positive("runs", self.runs)
        if self.runs > MOST_THREADS:
            raise InputError(
                f"runs must be at most {MOST_THREADS}, found {self.runs}", hint="most engines need 1 or 2"
            )
        check_option("when_full", self.when_full, ("wait", "error"))


def _check_seconds(name: str, value: object, low: float, high: float) -> None:
    if not _is_number(value) or not low <= value <= high:
        raise InputError(
            f"{name} must be from {low:g} to {high:g} seconds, found {value!r:.80}",
            hint=f"leave {name} out to use its default",
        )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
