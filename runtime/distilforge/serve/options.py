"""How a release is served."""

from dataclasses import dataclass, field
from pathlib import Path

from distilforge.batching.options import MAX_DELAY_SECONDS, MAX_PADDING, MAX_WAITING
from distilforge.checks.arguments import check_positive
from distilforge.errors import InputError
from distilforge.serve.limits import RequestLimits

HOST = "127.0.0.1"
"""Only programs on this machine reach it, unless it is told otherwise."""
PORT = 8080
"""The port, unless it is told otherwise."""
TIMEOUT_SECONDS = 30.0
"""How long a request may take, and how long the service waits for requests when it stops, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The options of `serve`."""

    host: str = HOST
    """The address to listen on; "0.0.0.0" is every one that the machine has."""
    port: int = PORT
    """The port to listen on; 0 is any that is free."""
    variant: str | None = None
    """The variant that answers; None means the best one for this machine."""
    threads: int | None = None
    """The threads of a run; None leaves them to the engine."""
    trust: Path | None = None
    """A PEM file with the key or certificate that must have signed the release."""
    max_delay: float = MAX_DELAY_SECONDS
    """How long a request waits for others while the engine is free, in seconds."""
    max_tokens: int | None = None
    """The most tokens of a run, padding included; None is the release's usual batch."""
    max_padding: float = MAX_PADDING
    """The most of a run's tokens that may be padding, from 0 to 1."""
    max_waiting: int = MAX_WAITING
    """How many requests may be in progress; more are told to come back later."""
    timeout: float = TIMEOUT_SECONDS
    """How long a request may wait for the engine, in seconds; stopping takes at most as long."""
    limits: RequestLimits = field(default_factory=RequestLimits)
    """What one request may hold."""

    def __post_init__(self) -> None:
        """Raise InputError for a value out of bounds; `Session.batched` checks those that it takes."""
        if not 0 <= self.port <= 65_535:
            raise InputError(
                f"the port must be from 0 to 65535, found {self.port}", hint="0 takes any free one"
            )
        if not self.host:
            raise InputError(
                "the address to listen on (--host) is empty",
                hint=f"{HOST} is this machine alone, and 0.0.0.0 is every address that it has",
            )
        for name, value in (
            ("the largest body (--max-body)", self.limits.body_bytes),
            ("the most inputs of a request (--max-texts)", self.limits.texts),
            ("the longest text (--max-characters)", self.limits.characters),
        ):
            check_positive(name, value)
