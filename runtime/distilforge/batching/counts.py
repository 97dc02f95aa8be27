"""What a batched session has done so far."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCounts:
    """Counts since a batched session was made."""

    requests: int = 0
    """How many requests were accepted; a call makes one for each batch that it would have run alone."""
    answered: int = 0
    """How many requests the engine answered."""
    failed: int = 0
    """How many requests the engine failed on."""
    cancelled: int = 0
    """How many requests were dropped before they ran: their callers had no more time, or were cancelled."""
    rejected: int = 0
    """How many requests found no room."""
    waiting: int = 0
    """How many requests wait now."""
    runs: int = 0
    """How many times the engine ran."""
    rows: int = 0
    """How many rows these runs had."""
    tokens: int = 0
    """How many tokens these runs had, padding included."""
    padding: int = 0
    """How many of these tokens only made the requests of a run equally long."""
    waiting_seconds: float = 0.0
    """How long the requests that ran had waited before, all together."""
    running_seconds: float = 0.0
    """How long the engine ran."""
