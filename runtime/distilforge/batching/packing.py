"""Which of the waiting requests run together."""

from collections.abc import Sequence
from dataclasses import dataclass

from distilforge.batching.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Requests for one run."""

    requests: tuple[Request, ...]
    """The requests, the oldest first."""
    full: bool
    """Whether there is no reason to wait for more of them."""


def pack(waiting: Sequence[Request], *, most_rows: int, most_tokens: int, most_padding: float) -> Pack:
    """The oldest request of `waiting`, and those that are nearest to it in length, as many as fit into a run.

    A run has at most `most_rows` rows, at most `most_tokens` tokens of which at most the part
    `most_padding` is padding. The oldest request may be larger, and then it runs alone.
    """
    oldest = waiting[0]
    alike = sorted(
        (request for request in waiting[1:] if request.other_sizes == oldest.other_sizes),
        key=lambda request: abs(request.length - oldest.length),
    )
    chosen = {oldest}
    rows, longest, sequences = oldest.rows, oldest.length, oldest.sequences
    tokens = oldest.sequences * oldest.length
    full = rows >= most_rows or tokens + oldest.length > most_tokens
    for request in alike:
        length = max(longest, request.length)
        size = (sequences + request.sequences) * length
        needed = tokens + request.sequences * request.length
        if rows + request.rows > most_rows or size > most_tokens:
            full = True
            break
        if size - needed > size * most_padding:
            break
        chosen.add(request)
        rows, longest, sequences, tokens = rows + request.rows, length, sequences + request.sequences, needed
        full = rows >= most_rows
    return Pack(requests=tuple(request for request in waiting if request in chosen), full=full)
