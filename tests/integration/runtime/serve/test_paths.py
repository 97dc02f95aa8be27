"""What each path answers, and what it refuses."""

import gzip
import json
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from http.client import HTTPResponse
from urllib.parse import urlsplit

import numpy as np
import pytest
from distilforge.heads import heads
from distilforge.serve.adapter import Json
from distilforge.serve.heads import adapters
from distilforge.serve.limits import RequestLimits
from distilforge.serve.options import ServeOptions

from tests.batched_session import SECONDS, open_session, watch
from tests.head_answers import INPUTS, TOLERANCE, TOO_LONG
from tests.served_release import get, post, served

LIMITS = RequestLimits(body_bytes=20_000, texts=4, characters=500)


@pytest.fixture(scope="module")
def classifier() -> Iterator[str]:
    with served(
        open_session("sequence_classification"), ServeOptions(port=0, max_delay=0.0, limits=LIMITS)
    ) as url:
        yield url


def as_json(head: str, value: object) -> Json:
    """An input of the head as `/answer` takes it."""
    if not isinstance(value, tuple):
        return value
    names = {"question_answering": ("question", "context"), "multiple_choice": ("context", "choices")}
    return dict(zip(names.get(head, ("text", "text_pair")), value, strict=True))


def assert_close(found: Json, expected: Json) -> None:
    """Fail unless the two are equal, and their numbers equal but for rounding."""
    if isinstance(expected, dict):
        assert isinstance(found, dict)
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)
    elif isinstance(expected, float):
        np.testing.assert_allclose(np.float64(str(found)), expected, rtol=TOLERANCE, atol=TOLERANCE)
    else:
        assert found == expected


def test_every_head_is_served() -> None:
    lacking = set(heads.names()) - set(adapters.names())
    assert lacking == set(), f"distilforge/serve/heads has no adapter for {lacking}"


@pytest.mark.parametrize("head", heads.names())
def test_answers_are_those_of_the_session(head: str) -> None:
    session = open_session(head)
    values = INPUTS[head][:5]
    kind = adapters.get(head)
    assert kind is not None
    with served(session) as url:
        reply = post(f"{url}/answer", {"inputs": [as_json(head, value) for value in values]})
        assert reply.status == 200, reply
        expected = [kind().answer(answer) for answer in session(values)]  # type: ignore[operator]
        assert_close(reply.body, json.loads(json.dumps({"answers": expected})))
        example = post(f"{url}/answer", {"inputs": [kind.example]})
        assert example.status == 200, example
        refused = post(f"{url}/answer", {"inputs": [as_json(head, TOO_LONG[head])]})
        assert (refused.status, refused.headers["content-type"]) == (422, "application/json")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 422, "the body is not JSON"),
        (b"[" * 5000, 422, "nested deeper than 64 levels"),
        (b'{"inputs": "\xff"}', 422, "the body is not JSON"),
        ([], 422, "must be a JSON object, found []"),
        ({"inputs": "a"}, 422, "inputs must be a list, found 'a'"),
        ({"inputs": []}, 422, "has no inputs"),
        ({"inputs": ["a"] * 5}, 413, "has 5 inputs; this service takes at most 4"),
        (
            {"inputs": ["a", "b" * 501]},
            422,
            "input 1 has a text of 501 characters; this service takes at most 500",
        ),
        ({"inputs": ["a" * 20_000]}, 413, "this service takes at most 20,000"),
        ({"inputs": [3]}, 422, "input 0 must be text, found int"),
        ({"inputs": [{"texts": "a"}]}, 422, "input 0 has no 'text'"),
        ({"inputs": [{"text": "a", "pair": "b"}]}, 422, "unknown field 'pair'"),
        ({"inputs": ["a"], "option": {}}, 422, "unknown field 'option'"),
        ({"inputs": ["a"], "options": {"k": 1}}, 422, "no option 'k'"),
        ({"inputs": ["a"], "options": {"top_k": "1"}}, 422, "top_k must be a whole number"),
        ({"inputs": ["a"], "options": {"top_k": 5000}}, 422, "top_k must be at most 1000, found 5000"),
        ({"inputs": ["a"], "options": {"truncation": "cut"}}, 422, "truncation cannot be 'cut'"),
        ({"inputs": ["cat " * 100]}, 422, "input 0 has 102 tokens, and this release takes at most 64"),
    ],
)
def test_what_cannot_be_answered_is_an_error_with_its_bound(
    classifier: str, body: object, status: int, message: str
) -> None:
    reply = post(f"{classifier}/answer", body)
    assert reply.status == status
    assert message in reply.error
    assert post(f"{classifier}/answer", {"inputs": ["a"]}).status == 200


def test_a_body_that_does_not_say_its_size_is_cut_off(classifier: str) -> None:
    place = urlsplit(classifier)
    with socket.create_connection((str(place.hostname), place.port), timeout=SECONDS) as connection:
        connection.sendall(b"POST /answer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            connection.sendall(b"2710\r\n" + b" " * 10_000 + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", ["answer", "predict", "", "v2/models/random-sequence_classification/infer"])
def test_a_compressed_body_is_refused_by_its_encoding(path: str, classifier: str) -> None:
    body = gzip.compress(b'{"inputs": "the film"}')
    refused = post(f"{classifier}/{path}", body, **{"Content-Encoding": "gzip"})
    assert refused.status == 415
    assert "has the Content-Encoding 'gzip'; this service takes bodies as they are" in refused.error
    assert "without compression" in refused.error


def test_a_body_may_say_that_it_is_as_it_is(classifier: str) -> None:
    body = {"inputs": "the film"}
    plain = post(f"{classifier}/predict", body).body
    for name, value in (("Content-Encoding", "Identity"), ("Transfer-Encoding", "chunked")):
        assert post(f"{classifier}/predict", body, **{name: value}).body == plain


def test_a_body_that_does_not_come_is_given_up() -> None:
    limits = RequestLimits(body_seconds=0.3)
    session = open_session("sequence_classification")
    with served(session, ServeOptions(port=0, max_delay=0.0, limits=limits)) as url:
        place = urlsplit(url)
        with socket.create_connection((str(place.hostname), place.port), timeout=SECONDS) as connection:
            connection.sendall(b"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            with HTTPResponse(connection) as answer:
                answer.begin()
                status, content = answer.status, answer.read()
    assert status == 408
    assert b"the body did not come within 0.3 s" in content


def test_a_size_of_many_digits_is_too_large(classifier: str) -> None:
    place = urlsplit(classifier)
    with socket.create_connection((str(place.hostname), place.port), timeout=SECONDS) as connection:
        size = b"9" * 30
        connection.sendall(b"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: " + size + b"\r\n\r\n{")
        assert connection.recv(100).startswith(b"HTTP/1.1 4")


def test_unknown_paths_and_methods(classifier: str) -> None:
    assert get(f"{classifier}/nothing").status == 404
    assert "openapi.json" in get(f"{classifier}/nothing").error
    refused = get(f"{classifier}/predict")
    use = 'POST /predict with a body such as {"inputs": "A text.", "truncate": false}'
    assert refused.status == 405
    assert refused.error.startswith(f"GET /predict: Method Not Allowed ({use}; GET /openapi.json ")
    assert "(GET /info; GET /openapi.json" in post(f"{classifier}/info", {}).error
    # A classifier has no embeddings
    assert post(f"{classifier}/embed", {"inputs": "a"}).status == 404


def test_predict_has_the_shapes_of_text_embeddings_inference(classifier: str) -> None:
    single = post(f"{classifier}/predict", {"inputs": "the film"}).body
    assert isinstance(single, list)
    assert [sorted(entry) for entry in single] == [["label", "score"]] * 3
    assert sum(entry["score"] for entry in single) == pytest.approx(1.0, abs=1e-6)
    pair = post(f"{classifier}/predict", {"inputs": ["the film", "was good"]}).body
    batch = post(f"{classifier}/predict", {"inputs": [["the film"], ["the film", "was good"]]}).body
    assert_close(batch, [single, pair])
    long = {"inputs": "cat " * 100, "truncate": True}
    assert post(f"{classifier}/predict", long).status == 200
    for body, message in (
        ({"inputs": "a", "raw_scores": True}, "raw_scores is not supported"),
        ({"inputs": [["a", "b", "c"]]}, "input 0 must be a text"),
        ({"inputs": []}, "has no inputs"),
        ({"inputs": "a", "truncation_direction": "Left"}, "truncation_direction cannot be 'Left'"),
        ({"inputs": "a", "truncate": "yes"}, "truncate must be true or false"),
    ):
        reply = post(f"{classifier}/predict", body)
        assert (reply.status, message in reply.error) == (422, True), reply


def test_text_as_numbers_is_told_its_datatype(classifier: str) -> None:
    name = get(f"{classifier}/info").body
    assert isinstance(name, dict)
    inputs = [{"name": "text", "shape": [1], "datatype": "INT64", "data": [1]}]
    reply = post(f"{classifier}/v2/models/{name['model_id']}/infer", {"inputs": inputs})
    assert reply.status == 422
    assert "'text' has the datatype of numbers, and must have BYTES" in reply.error


def test_an_array_without_axes_is_told_the_shape_that_it_must_have(classifier: str) -> None:
    name = get(f"{classifier}/info").body
    assert isinstance(name, dict)
    inputs = [
        {"name": tensor, "shape": [], "datatype": "INT64", "data": [1]}
        for tensor in ("input_ids", "attention_mask")
    ]
    reply = post(f"{classifier}/v2/models/{name['model_id']}/infer", {"inputs": inputs})
    assert reply.status == 422
    assert "'input_ids' has 0 axes; it must have 2" in reply.error


def test_a_request_is_repeated_by_its_id_if_an_answer_can_hold_it(classifier: str) -> None:
    url = f"{classifier}/v2/models/random-sequence_classification/infer"
    inputs = [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["the film"]}]
    answer = post(url, {"id": "naïve", "inputs": inputs}).body
    assert isinstance(answer, dict)
    assert answer["id"] == "naïve"
    refused = post(url, {"id": "\ud800", "inputs": inputs})
    assert refused.status == 422
    assert "id holds half a surrogate pair" in refused.error


def test_embed_has_the_shapes_of_text_embeddings_inference() -> None:
    with served(open_session("features")) as url:
        single = post(f"{url}/embed", {"inputs": "the film"}).body
        assert isinstance(single, list)
        assert np.linalg.norm(single[0]) == pytest.approx(1.0, abs=1e-6)
        both = post(f"{url}/embed", {"inputs": ["the film", "a movie"], "normalize": False}).body
        assert isinstance(both, list)
        assert np.shape(both) == (2, 32)
        np.testing.assert_allclose(
            np.array(both[0]) / np.linalg.norm(both[0]), single[0], rtol=TOLERANCE, atol=TOLERANCE
        )
        assert post(f"{url}/embed", {"inputs": "cat " * 100, "truncate": True}).status == 200
        assert "has 102 tokens" in post(f"{url}/embed", {"inputs": "cat " * 100}).error
        assert "no prompt called" in post(f"{url}/embed", {"inputs": "a", "prompt_name": ["q"]}).error
        info = get(f"{url}/info").body
        assert isinstance(info, dict)
        assert (info["max_input_length"], info["max_client_batch_size"]) == (64, 32)
        assert info["model_type"] == {"embedding": {"pooling": "mean"}}


def test_health_metrics_and_description(classifier: str) -> None:
    assert get(f"{classifier}/health").status == 200
    post(f"{classifier}/answer", {"inputs": ["a"]})
    text = str(get(f"{classifier}/metrics").body)
    assert 'distilforge_http_requests_total{path="/answer",status="200"}' in text
    assert 'distilforge_batch_requests_total{outcome="answered"}' in text
    document = get(f"{classifier}/openapi.json").body
    assert isinstance(document, dict)
    assert set(document["paths"]) > {"/answer", "/predict", "/", "/v2", "/v2/models/{name}/infer"}
    for path in ("/health", "/v2/health/ready", "/v2/models/{name}/ready"):
        assert "503" in document["paths"][path]["get"]["responses"], path
    for path in ("/answer", "/predict", "/", "/v2/models/{name}/infer"):
        example = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        name = path.replace("{name}", document["info"]["title"])
        assert post(f"{classifier}{name}", example).status == 200, path


def test_more_requests_than_there_is_room_for_are_told_to_come_back() -> None:
    session, engine = watch(open_session("sequence_classification"))
    engine.gate.clear()
    with (
        served(session, ServeOptions(port=0, max_delay=0.0, max_waiting=2)) as url,
        ThreadPoolExecutor(3) as callers,
    ):
        waiting = {callers.submit(post, f"{url}/answer", {"inputs": ["a"]}) for _ in range(3)}
        ended, waiting = wait(waiting, SECONDS, return_when=FIRST_COMPLETED)
        (refused,) = (answer.result() for answer in ended)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert "at most 2" in refused.error
        # Those who watch the service still see it
        assert get(f"{url}/health").status == 200
        engine.gate.set()
        assert [answer.result(SECONDS).status for answer in waiting] == [200, 200]


def test_a_request_whose_client_goes_away_is_dropped_before_it_runs() -> None:
    session, engine = watch(open_session("sequence_classification"))
    engine.gate.clear()
    with served(session) as url, ThreadPoolExecutor(1) as callers:
        running = callers.submit(post, f"{url}/answer", {"inputs": ["a"]})
        assert engine.entered.wait(SECONDS)
        place = urlsplit(url)
        content = json.dumps({"inputs": ["the film was good"]}).encode()
        connection = socket.create_connection((str(place.hostname), place.port), timeout=SECONDS)
        # Closed at once, with a reset
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(
            b"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
        )
        wait_for_metric(url, "distilforge_batch_requests_waiting 1.0")
        connection.close()
        wait_for_metric(url, "distilforge_batch_requests_waiting 0.0")
        engine.gate.set()
        assert running.result(SECONDS).status == 200
    assert [shape[0] for shape in engine.shapes] == [1]


def wait_for_metric(url: str, line: str) -> None:
    """Wait until the metrics have `line`."""
    end = time.monotonic() + SECONDS
    while line not in str(get(f"{url}/metrics").body):
        assert time.monotonic() < end, line
        time.sleep(0.01)


def test_a_run_that_takes_too_long_is_told_to_come_back() -> None:
    session, engine = watch(open_session("sequence_classification"))
    engine.gate.clear()
    with served(session, ServeOptions(port=0, max_delay=0.0, timeout=1.0)) as url:
        reply = post(f"{url}/answer", {"inputs": ["a"]})
        engine.gate.set()
        assert (reply.status, reply.headers["retry-after"]) == (429, "1")
        assert "no answer after 1 seconds" in reply.error
