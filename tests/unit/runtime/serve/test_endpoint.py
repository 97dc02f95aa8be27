"""The description of the service's paths."""

from distilforge.serve.endpoint import Endpoint, openapi
from distilforge.serve.failures import STATUSES
from starlette.requests import Request
from starlette.responses import Response


async def handler(request: Request) -> Response:
    return Response(request.url.path)


def statuses(endpoint: Endpoint) -> set[str]:
    """The statuses with which `endpoint` answers, as the description has them."""
    document = openapi("sentiment", "0123456789ab", [endpoint])
    assert isinstance(document, dict)
    return set(document["paths"][endpoint.path][endpoint.method.lower()]["responses"])


def test_a_path_that_reads_a_body_lists_the_status_of_every_error() -> None:
    infer = Endpoint(path="/models/{name}", method="POST", handler=handler, summary="Answers.", example={})
    assert statuses(infer) == {"200", *(str(status) for _, status, _ in STATUSES)}


def test_only_a_path_with_the_name_of_a_model_can_name_an_unknown_one() -> None:
    model = Endpoint(path="/models/{name}", method="GET", handler=handler, summary="The model.")
    info = Endpoint(path="/info", method="GET", handler=handler, summary="The release.")
    assert statuses(model) == {"200", "404"}
    assert statuses(info) == {"200"}


def test_a_path_that_says_whether_the_service_answers_lists_what_it_says_when_it_stops() -> None:
    health = Endpoint(path="/health", method="GET", handler=handler, summary="Health.", stops=True)
    assert statuses(health) == {"200", "503"}
