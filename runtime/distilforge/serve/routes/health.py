"""`/health` and `/metrics`."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from distilforge.errors import UnavailableError
from distilforge.serve.endpoint import Endpoint
from distilforge.serve.service import Service


class Health:
    """Answers those who watch the service."""

    def __init__(self, service: Service, registry: CollectorRegistry) -> None:
        self._service = service
        self._registry = registry

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The paths, and their documentation."""
        return (
            Endpoint(
                path="/health",
                method="GET",
                handler=self.health,
                summary="Whether the service answers.",
                stops=True,
            ),
            Endpoint(
                path="/metrics",
                method="GET",
                handler=self.metrics,
                summary="Counts and times for Prometheus.",
            ),
        )

    async def health(self, request: Request) -> Response:
        """200 until the service stops."""
        if self._service.stopping:
            raise UnavailableError("the service stops", hint="ask another one")
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """The metrics in Prometheus's text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
