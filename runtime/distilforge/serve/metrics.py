"""How many requests there were, and how long they took."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class RequestMetrics:
    """Counts the requests of an application, by path and status; a path that does not exist counts as "other"."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry, paths: frozenset[str]) -> None:
        """`paths` are the paths of the endpoints, with parameters in braces."""
        self._app = app
        self._paths = paths
        self._requests = Counter(
            "distilforge_http_requests", "Requests", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "distilforge_http_request_seconds",
            "Time of a request",
            ["path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._present = Gauge(
            "distilforge_http_requests_in_progress", "Requests in progress", registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = "none"

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        started = time.monotonic()
        with self._present.track_inprogress():
            try:
                await self._app(scope, receive, note)
            finally:
                # The router writes down the route that it found
                route = getattr(scope.get("route"), "path", None) or self._path(scope)
                self._requests.labels(route, status).inc()
                self._seconds.labels(route).observe(time.monotonic() - started)

    def _path(self, scope: Scope) -> str:
        path = str(scope.get("path"))
        return path if path in self._paths else "other"
