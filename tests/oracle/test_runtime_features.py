"""The runtime's embeddings against transformers' FeatureExtractionPipeline."""

import distilforge
import numpy as np
import pytest
import transformers
from distilforge import Features

from tests.runtime_release import TEXTS, Pair, published


@pytest.fixture(scope="module")
def pair() -> Pair:
    return published("features")


@pytest.fixture(scope="module")
def session(pair: Pair) -> Features:
    return distilforge.open(pair.release, head=Features)


@pytest.fixture(scope="module")
def states(pair: Pair) -> list[np.ndarray]:
    oracle = transformers.pipeline("feature-extraction", model=str(pair.checkpoint))
    return [np.array(oracle(text, truncation=True)[0], dtype=np.float32) for text in TEXTS]


def test_tokens(session: Features, states: list[np.ndarray]) -> None:
    for embedding, expected in zip(
        session(list(TEXTS), pooling="token", truncation="truncate"), states, strict=True
    ):
        assert embedding.shape == expected.shape
        np.testing.assert_allclose(embedding, expected, atol=1e-5)


def test_cls_and_mean(session: Features, states: list[np.ndarray]) -> None:
    first = session(list(TEXTS), pooling="cls", truncation="truncate")
    mean = session(list(TEXTS), truncation="truncate")
    for found_first, found_mean, expected in zip(first, mean, states, strict=True):
        np.testing.assert_allclose(found_first, expected[0], atol=1e-5)
        np.testing.assert_allclose(found_mean, expected.mean(0), atol=1e-5)


def test_normalized(session: Features, states: list[np.ndarray]) -> None:
    for embedding, expected in zip(
        session(list(TEXTS), pooling="token", normalize=True, truncation="truncate"), states, strict=True
    ):
        np.testing.assert_allclose(
            embedding, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5
        )
