"""The service as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from distilforge.batching.prometheus import BatchCollector
from distilforge.errors import DistilforgeError
from distilforge.serve import failures
from distilforge.serve.endpoint import openapi
from distilforge.serve.metrics import RequestMetrics
from distilforge.serve.routes.answers import Answers
from distilforge.serve.routes.embeddings_inference import EmbeddingsInference
from distilforge.serve.routes.health import Health
from distilforge.serve.routes.hugging_face import HuggingFaceTask
from distilforge.serve.routes.open_inference import OpenInference
from distilforge.serve.service import ClosedConnectionError, Service


def application(service: Service) -> Starlette:
    """The application of `service`; when it shuts down, requests are refused, and those that wait are answered."""
    registry = CollectorRegistry()
    for collector in (GCCollector, PlatformCollector, ProcessCollector):
        collector(registry=registry)
    registry.register(BatchCollector(service.batcher))
    endpoints = (
        *Answers(service).endpoints(),
        *EmbeddingsInference(service).endpoints(),
        *HuggingFaceTask(service).endpoints(),
        *OpenInference(service).endpoints(),
        *Health(service, registry).endpoints(),
    )
    document = openapi(service.manifest.name, service.manifest.version, endpoints)

    async def describe(request: Request) -> Response:
        return JSONResponse(document)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service.batcher:
            yield
            service.stopping = True

    paths = frozenset({"/openapi.json", *(endpoint.path for endpoint in endpoints)})
    return Starlette(
        routes=[Route("/openapi.json", describe), *(endpoint.route for endpoint in endpoints)],
        middleware=[Middleware(RequestMetrics, registry=registry, paths=paths)],
        exception_handlers={
            DistilforgeError: failures.answer_error,
            HTTPException: failures.unknown_path(endpoints),
            ClientDisconnect: failures.answer_closed,
            ClosedConnectionError: failures.answer_closed,
        },
        lifespan=lifespan,
    )
