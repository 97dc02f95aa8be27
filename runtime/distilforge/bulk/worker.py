"""A worker's own process: `python -m distilforge.bulk.worker` answers what comes on its standard input.

The first message says how to open an answerer; each later one is a batch. Messages are pickles: this process was
started by the one that writes them. Whatever libraries print goes to the standard error.
"""

import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from distilforge.bulk.rows import Answers, Batch
from distilforge.errors import DistilforgeError


class OpensAnswerer(Protocol):
    """What a worker opens; it can be pickled."""

    def open(self) -> Callable[[Batch], Answers]:
        """Open what answers batches; raises DistilforgeError if it cannot be opened."""

    def failed(self, batch: Batch, reason: str) -> Answers:
        """The answers if every row of `batch` becomes an error row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The first message."""

    settings: OpensAnswerer
    """What to open."""
    cores: tuple[int, ...]
    """The cores that the process runs on; () leaves that to the system."""


def main() -> None:
    """Answer batches until the standard input ends, as it does when the parent ends."""
    requests = sys.stdin.buffer
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as replies:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        opening: Opening = pickle.load(requests)  # noqa: S301 - from the parent
        if opening.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, opening.cores)
        try:
            answer = opening.settings.open()
        except DistilforgeError as error:
            pickle.dump(error, replies)
            return
        pickle.dump(None, replies)
        replies.flush()
        while True:
            try:
                batch: Batch = pickle.load(requests)  # noqa: S301 - from the parent
            except EOFError:
                return
            pickle.dump(answer(batch), replies)
            replies.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # The parent has ended, and nobody reads the answers
        os._exit(1)
