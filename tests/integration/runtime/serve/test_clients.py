"""The clients that people have: tritonclient, and huggingface_hub's InferenceClient."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from distilforge.heads import heads
from huggingface_hub import InferenceClient

from tests.batched_session import open_session
from tests.head_answers import INPUTS, TOLERANCE
from tests.served_release import served

triton = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http], which the extra dev has")


@pytest.fixture(scope="module", params=heads.names())
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The head and the URL of a service for each head."""
    with served(open_session(request.param)) as url:
        yield request.param, url


def tensor(name: str, array: np.ndarray, datatype: str, *, binary: bool) -> object:
    value = triton.InferInput(name, list(array.shape), datatype)
    value.set_data_from_numpy(array, binary_data=binary)
    return value


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient(place: tuple[str, str], binary: bool) -> None:
    head, url = place
    session = open_session(head)
    name = session.manifest.name
    feeds = {tensor.name: np.ones([2] * len(tensor.shape), np.int64) for tensor in session.manifest.inputs}
    expected = session.run(feeds)
    with triton.InferenceServerClient(urlsplit(url).netloc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(name)
        assert client.is_model_ready(name, session.manifest.version)
        assert client.get_server_metadata()["name"] == "distilforge"
        metadata = client.get_model_metadata(name)
        assert [entry["name"] for entry in metadata["outputs"]] == list(expected)
        inputs = [tensor(key, array, "INT64", binary=binary) for key, array in feeds.items()]
        outputs = [triton.InferRequestedOutput(key, binary_data=binary) for key in expected]
        for requested in (outputs, None):
            result = client.infer(name, inputs, outputs=requested, request_id="7")
            assert result.get_response()["id"] == "7"
            for key, array in expected.items():
                np.testing.assert_allclose(result.as_numpy(key), array, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient_with_texts(place: tuple[str, str], binary: bool) -> None:
    head, url = place
    session = open_session(head)
    texts = np.array(["the film was good", "naïve café"], np.object_)
    with triton.InferenceServerClient(urlsplit(url).netloc) as client:
        inputs = [tensor("text", texts, "BYTES", binary=binary)]
        if head == "multiple_choice":
            with pytest.raises(triton.InferenceServerException, match="'text' has the datatype BYTES"):
                client.infer(session.manifest.name, inputs)
            return
        result = client.infer(session.manifest.name, inputs)
        for key, array in session.run(session.encode(list(texts))).items():
            np.testing.assert_allclose(result.as_numpy(key), array, rtol=TOLERANCE, atol=TOLERANCE)


def test_tritonclient_is_told_what_an_output_cannot_be(place: tuple[str, str]) -> None:
    head, url = place
    session = open_session(head)
    feeds = {tensor.name: np.ones([2] * len(tensor.shape), np.int64) for tensor in session.manifest.inputs}
    inputs = [tensor(key, array, "INT64", binary=True) for key, array in feeds.items()]
    asked = triton.InferRequestedOutput(session.manifest.outputs[0].name, class_count=2)
    with (
        triton.InferenceServerClient(urlsplit(url).netloc) as client,
        pytest.raises(triton.InferenceServerException, match="cannot have the parameter 'classification'"),
    ):
        client.infer(session.manifest.name, inputs, outputs=[asked])


def test_tritonclient_reads_the_errors(place: tuple[str, str]) -> None:
    head, url = place
    name = open_session(head).manifest.name
    with triton.InferenceServerClient(urlsplit(url).netloc) as client:
        with pytest.raises(triton.InferenceServerException, match="there is no model 'other'"):
            client.get_model_metadata("other")
        with pytest.raises(triton.InferenceServerException, match="there is no input 'ids'"):
            client.infer(name, [tensor("ids", np.ones((1, 2), np.int64), "INT64", binary=True)])


def test_inference_client(place: tuple[str, str]) -> None:
    head, url = place
    session = open_session(head)
    client = InferenceClient(model=url, timeout=30)
    value = INPUTS[head][0]
    assert callable(session)
    answer = session(value)
    if head == "features":
        np.testing.assert_allclose(
            client.feature_extraction(value, truncate=True, truncation_direction="right")[0],
            answer,
            rtol=TOLERANCE,
            atol=TOLERANCE,
        )
    elif head == "sequence_classification":
        labels = client.text_classification(value)
        assert (labels[0].label, len(labels)) == (answer.label, 3)
        assert labels[0].score == pytest.approx(answer.score, abs=TOLERANCE)
        assert len(client.text_classification(value, top_k=2)) == 2
    elif head == "token_classification":
        entities = client.token_classification("the doctor and the king")
        expected = session("the doctor and the king")
        assert [(entity.entity_group, entity.start, entity.end) for entity in entities] == [
            (entity.label, entity.start, entity.end) for entity in expected
        ]
        tokens = client.token_classification("the doctor and the king", aggregation_strategy="none")
        expected = session("the doctor and the king", aggregation="none")
        assert [(token.entity, token.entity_group) for token in tokens] == [
            (entity.label, None) for entity in expected
        ]
    elif head == "question_answering":
        found = client.question_answering(question=value[0], context=value[1])
        assert (found.answer, found.start, found.end) == (answer.text, answer.start, answer.end)
    elif head == "masked_lm":
        fills = client.fill_mask("the [MASK] film", top_k=3)
        (expected,) = session("the [MASK] film", top_k=3)
        assert [(fill.token, fill.token_str) for fill in fills] == [
            (fill.token, fill.text) for fill in expected.fills
        ]
