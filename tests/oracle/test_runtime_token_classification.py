"""The runtime's entities against transformers' TokenClassificationPipeline."""

from typing import get_args

import distilforge
import pytest
import transformers
from distilforge import Entity, TokenClassification
from distilforge.heads.token_classification import Aggregation
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import WORDS
from tests.runtime_release import LABELS, TEXTS, Pair, published

HEAD = "token_classification"
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return published(HEAD, LABELS[HEAD])


@pytest.fixture(scope="module")
def session(pair: Pair) -> TokenClassification:
    return distilforge.open(pair.release, head=TokenClassification)


@pytest.fixture(scope="module")
def oracle(pair: Pair) -> transformers.TokenClassificationPipeline:
    return transformers.pipeline("token-classification", model=str(pair.checkpoint))


def same(actual: tuple[Entity, ...], expected: list[dict[str, object]], text: str) -> None:
    keys = [
        (item.get("entity_group", item.get("entity")), item["start"], item["end"], item["word"])
        for item in expected
    ]
    assert [(item.label, item.start, item.end, item.word) for item in actual] == keys
    assert [item.score for item in actual] == pytest.approx(
        [float(item["score"]) for item in expected], abs=1e-5
    )
    assert all(item.text == text[item.start : item.end] for item in actual)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_texts(
    session: TokenClassification, oracle: transformers.TokenClassificationPipeline, aggregation: Aggregation
) -> None:
    results = session(list(TEXTS), aggregation=aggregation, truncation="truncate")
    for text, result in zip(TEXTS, results, strict=True):
        same(result, oracle(text, aggregation_strategy=aggregation), text)
    assert any(results)


@settings(max_examples=25, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(WORDS)
        | st.text(st.characters(categories=["L", "N", "P", "S", "M", "Zs"]), max_size=6),
        min_size=1,
        max_size=10,
    ),
    aggregation=st.sampled_from(AGGREGATIONS),
)
def test_any_text(
    session: TokenClassification,
    oracle: transformers.TokenClassificationPipeline,
    words: list[str],
    aggregation: Aggregation,
) -> None:
    text = "z " + " ".join(words)
    same(
        session(text, aggregation=aggregation, truncation="truncate"),
        oracle(text, aggregation_strategy=aggregation),
        text,
    )


def test_ignored_labels(
    session: TokenClassification, oracle: transformers.TokenClassificationPipeline
) -> None:
    text = TEXTS[1]
    for ignored in ((), ("PER",), ("O", "LOC", "I-LOC")):
        for aggregation in AGGREGATIONS:
            expected = oracle(text, aggregation_strategy=aggregation, ignore_labels=list(ignored))
            same(session(text, aggregation=aggregation, ignore_labels=ignored), expected, text)
