"""Errors as responses, in the form that clients of text-embeddings-inference and Triton read."""

import logging
from collections.abc import Callable, Coroutine, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from distilforge.errors import BusyError, DistilforgeError, InputError, UnavailableError
from distilforge.serve.endpoint import Endpoint
from distilforge.serve.limits import EncodedError, TooLargeError, TooSlowError
from distilforge.serve.routes.open_inference import UnknownModelError

RETRY_SECONDS = 1
"""When to ask again; a queue of requests takes about as long."""
_logger = logging.getLogger("distilforge")
STATUSES: tuple[tuple[type[DistilforgeError], int, str], ...] = (
    (TooLargeError, 413, "validation"),
    (TooSlowError, 408, "validation"),
    (EncodedError, 415, "validation"),
    (UnknownModelError, 404, "validation"),
    (InputError, 422, "validation"),
    (BusyError, 429, "overloaded"),
    (UnavailableError, 503, "unhealthy"),
    (DistilforgeError, 500, "backend"),
)
"""The status and the `error_type` of each class of errors; the first class that fits counts."""
_RETRIED = (429, 503)
# nginx's status for a client that went away; nobody reads it
_CLOSED = 499


async def answer_error(request: Request, error: Exception) -> Response:
    """The response to a request that raised one of this package's errors."""
    assert isinstance(error, DistilforgeError)
    status, kind = next((status, kind) for base, status, kind in STATUSES if isinstance(error, base))
    if status >= 500:
        _logger.error("%s %s: %s", request.method, request.url.path, error.message)
    hint = f" ({error.hint})" if error.hint else ""
    headers = {"Retry-After": str(RETRY_SECONDS)} if status in _RETRIED else None
    return JSONResponse({"error": f"{error.message}{hint}", "error_type": kind}, status, headers)


def unknown_path(
    endpoints: Sequence[Endpoint],
) -> Callable[[Request, Exception], Coroutine[object, object, Response]]:
    """What answers a path, or a method, that none of `endpoints` has; it says how a path is used."""

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        # Those that take another method
        partial = (entry for entry in endpoints if entry.route.matches(request.scope)[0] is Match.PARTIAL)
        hints = (*(entry.use for entry in partial), "GET /openapi.json lists what there is")
        message = f"{request.method} {request.url.path[:200]}: {error.detail} ({'; '.join(hints)})"
        return JSONResponse({"error": message, "error_type": "validation"}, error.status_code, error.headers)

    return answer


async def answer_closed(request: Request, error: Exception) -> Response:
    """What is logged of a request whose client went away."""
    return Response(status_code=_CLOSED)
