"""A path of the service, with what OpenAPI says about it."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distilforge.serve.adapter import Json

Handler = Callable[[Request], Awaitable[Response]]
_STOPPED = "503"
_ERRORS = {
    "408": "The body did not come in time.",
    "413": "The body or the list of inputs is too large.",
    "415": "The body is compressed.",
    "422": "The request cannot be used; the message has the value, its bound and a hint.",
    "429": "Too many requests are in progress; Retry-After says when to ask again.",
    "500": "The engine failed on an input that passed the checks.",
    _STOPPED: "The service stops; Retry-After says when to ask again.",
}
_UNKNOWN_MODEL = {"404": "The path names another model or version than the one that is served."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A path and its handler."""

    path: str
    """The path, with parameters in braces."""
    method: str
    """GET or POST."""
    handler: Handler
    """Answers a request; raises a DistilforgeError for one that it cannot answer."""
    summary: str
    """What it does, in a line."""
    example: Json = None
    """A body that it takes; None for GET."""
    result: Json = None
    """The schema of its result; None for any JSON."""
    stops: bool = False
    """Whether it answers 503 once the service stops. A path with a body always does."""

    @property
    def use(self) -> str:
        """How it is asked, in a few words."""
        body = "" if self.example is None else f" with a body such as {json.dumps(self.example)}"
        return f"{self.method} {self.path}{body}"

    @property
    def route(self) -> Route:
        """The route for Starlette."""
        return Route(self.path, self.handler, methods=[self.method])


def openapi(title: str, version: str, endpoints: Sequence[Endpoint]) -> Json:
    """The OpenAPI document of the endpoints."""
    paths: dict[str, dict[str, Json]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": "A DistilBERT release, served by distilforge.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error", "error_type"],
                    "properties": {"error": {"type": "string"}, "error_type": {"type": "string"}},
                }
            }
        },
    }


def _operation(endpoint: Endpoint) -> Json:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation: dict[str, Json] = {
        "summary": endpoint.summary,
        "responses": {
            "200": {
                "description": "The result.",
                "content": {"application/json": {"schema": endpoint.result or {}}},
            }
        },
    }
    errors: dict[str, str] = {}
    names = [part.strip("{}") for part in endpoint.path.split("/") if part.startswith("{")]
    if names:
        errors |= _UNKNOWN_MODEL
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if endpoint.stops:
        errors[_STOPPED] = _ERRORS[_STOPPED]
    if endpoint.example is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}, "example": endpoint.example}},
        }
        errors |= _ERRORS
    responses = operation["responses"]
    assert isinstance(responses, dict)
    responses |= {status: {"description": text, "content": error} for status, text in errors.items()}
    return operation
