"""An open release that answers requests."""

import asyncio
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from starlette.requests import Request

from distilforge.batching.batcher import Batcher
from distilforge.checks.call_options import check_call_options
from distilforge.errors import InputError
from distilforge.manifest import Manifest
from distilforge.registry import nearest
from distilforge.serve.adapter import Adapter, Json
from distilforge.serve.heads import adapters
from distilforge.serve.limits import RequestLimits
from distilforge.session import Session

MOST_CANDIDATES = 1000
"""The largest `top_k`: writing a vocabulary of candidates takes longer than the model."""
P = ParamSpec("P")
R = TypeVar("R")


class ClosedConnectionError(Exception):
    """The client went away before its answer was there."""


class Service:
    """A batched session with the limits of its requests."""

    def __init__(self, batcher: Batcher[Session], limits: RequestLimits) -> None:
        """Raises InputError for a head without an adapter."""
        session = batcher.session
        kind = adapters.get(session.head)
        if kind is None:
            raise InputError(
                f"the head {session.head!r} cannot be served",
                hint=f"write distilforge/serve/heads/{session.head}.py; {nearest(session.head, adapters.names())}",
            )
        self.batcher = batcher
        """Answers the requests together."""
        self.session = session
        """The batched session."""
        self.adapter: Adapter = kind()
        """The head's JSON."""
        self.limits = limits
        """What one request may hold."""
        self.stopping = False
        """Whether the service takes no more requests."""

    @property
    def manifest(self) -> Manifest:
        """The release's manifest."""
        return self.session.manifest

    def answers(self, inputs: list[object], options: Mapping[str, Json]) -> list[object]:
        """The session's typed results; blocks, so it is called through `in_thread`.

        Raises InputError for inputs and options that cannot be used, and what the session raises.
        """
        self.limits.check_texts(inputs)
        top_k = options.get("top_k")
        if isinstance(top_k, int) and top_k > MOST_CANDIDATES:
            raise InputError(
                f"top_k must be at most {MOST_CANDIDATES}, found {top_k}", hint="ask for fewer candidates"
            )
        session = self.session
        assert callable(session)
        checked = check_call_options(session, session.head, options)
        results: list[object] = session(inputs, **checked)
        return results

    async def in_thread(
        self, request: Request, function: Callable[P, R], *arguments: P.args, **options: P.kwargs
    ) -> R:
        """Call `function` in a thread; if the client goes away, what waits for the engine is dropped.

        Raises what `Batcher.answer` raises, and ClosedConnectionError if the client went away.
        """
        answer = asyncio.ensure_future(self.batcher.answer(function, *arguments, **options))
        # Once the body was read, the next message says that the client went away
        gone = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise ClosedConnectionError
        finally:
            answer.cancel()
            gone.cancel()
