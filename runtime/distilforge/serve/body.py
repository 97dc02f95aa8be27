"""Bodies of requests, which are read up to their limit."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request

from distilforge import json_text
from distilforge.errors import InputError
from distilforge.serve.adapter import Json
from distilforge.serve.limits import EncodedError, RequestLimits, TooSlowError

# More than any limit has; Python reads no number of thousands of digits
_MOST_DIGITS = 20
_AS_IT_IS = "identity"


async def read(request: Request, limits: RequestLimits) -> bytes:
    """The request's body; raises TooLargeError as soon as it is too large, before the rest is read.

    Raises TooSlowError if it does not come in time, and EncodedError if it is compressed.
    """
    encoding = request.headers.get("content-encoding", _AS_IT_IS)
    if encoding.lower() != _AS_IT_IS:
        raise EncodedError(
            f"the body has the Content-Encoding {encoding!r:.80}; this service takes bodies as they are",
            hint="send it without compression and without this header",
        )
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal():
        limits.check_body(int(declared[:_MOST_DIGITS]))
    try:
        return await asyncio.wait_for(_content(request, limits), limits.body_seconds)
    except asyncio.TimeoutError:
        raise TooSlowError(
            f"the body did not come within {limits.body_seconds:g} s",
            hint="send it at once, over a faster network",
        ) from None


async def _content(request: Request, limits: RequestLimits) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        limits.check_body(len(content))
    return bytes(content)


async def read_object(request: Request, limits: RequestLimits) -> Mapping[str, Json]:
    """The JSON object in the request's body; raises InputError if there is none, and TooLargeError."""
    return parse_object(await read(request, limits))


def parse_object(content: bytes) -> Mapping[str, Json]:
    """The JSON object in `content`; InputError if it is something else."""
    try:
        value = json_text.parse(content.decode("utf-8"))
    except ValueError as cause:
        raise InputError(f"the body is not JSON: {cause}", hint="GET /openapi.json has examples") from cause
    if not isinstance(value, dict):
        raise InputError(
            f"the body must be a JSON object, found {value!r:.80}", hint='{"inputs": ["A text."]}'
        )
    return value


def only(body: Mapping[str, Json], *names: str) -> None:
    """Raise InputError if `body` has a field that is not in `names`."""
    for name in body:
        if name not in names:
            raise InputError(
                f"the body has the unknown field {name!r:.80}", hint=f"known are {', '.join(names)}"
            )


def flag(body: Mapping[str, Json], name: str, *, default: bool) -> bool:
    """The field `name`, true or false; `default` if it is absent or null."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, found {value!r:.80}", hint=f'{{"{name}": true}}')
    return value


def options_in(body: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """The object in the field `name`; empty if it is absent or null."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{name} must be an object, found {value!r:.80}", hint=f'{{"{name}": {{}}}}')
    return value
