"""The runtime's classifications against transformers' TextClassificationPipeline."""

import shutil
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
import transformers
from distilforge import Classification, SequenceClassification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import read_config
from tests.runtime_release import (
    LABELS,
    TEXTS,
    Pair,
    copied,
    published,
    read_manifest,
    record_again,
    write_manifest,
)

HEAD = "sequence_classification"
# Not here: an empty second text, which transformers drops where it is alone and keeps where it is in a batch.
PAIRS = [
    ("good movie", "bad film"),
    ("the " * 70, "who is the doctor?"),
    ("", "a"),
    ("a b c", "the cat " * 50),
]


def pipeline_of(checkpoint: Path) -> transformers.TextClassificationPipeline:
    return transformers.pipeline("text-classification", model=str(checkpoint))


def same(actual: Classification, expected: list[dict[str, object]]) -> None:
    assert [item.label for item in actual.labels] == [item["label"] for item in expected]
    assert [item.score for item in actual.labels] == pytest.approx(
        [item["score"] for item in expected], abs=1e-5
    )


@pytest.fixture(scope="module")
def pair() -> Pair:
    return published(HEAD, LABELS[HEAD])


@pytest.fixture(scope="module")
def session(pair: Pair) -> SequenceClassification:
    return distilforge.open(pair.release, head=SequenceClassification)


@pytest.fixture(scope="module")
def oracle(pair: Pair) -> transformers.TextClassificationPipeline:
    return pipeline_of(pair.checkpoint)


def test_texts(session: SequenceClassification, oracle: transformers.TextClassificationPipeline) -> None:
    results = session(list(TEXTS), top_k=None, truncation="truncate")
    for text, result in zip(TEXTS, results, strict=True):
        same(result, oracle(text, top_k=None, truncation=True))


def test_pairs(session: SequenceClassification, oracle: transformers.TextClassificationPipeline) -> None:
    results = session(PAIRS, top_k=None, truncation="truncate")
    for (text, second), result in zip(PAIRS, results, strict=True):
        same(result, oracle({"text": text, "text_pair": second}, top_k=None, truncation=True))


def test_an_empty_second_text_is_kept(session: SequenceClassification, pair: Pair) -> None:
    model = transformers.DistilBertForSequenceClassification.from_pretrained(pair.checkpoint).eval()
    batch = transformers.AutoTokenizer.from_pretrained(pair.checkpoint)(["good"], [""], return_tensors="pt")
    scores = model(**batch).logits.softmax(-1)[0].tolist()
    assert session(("good", "")).score == pytest.approx(max(scores), abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=40).filter(lambda text: text.isprintable()))
def test_any_text(
    session: SequenceClassification, oracle: transformers.TextClassificationPipeline, text: str
) -> None:
    same(session(text, top_k=None), oracle(text, top_k=None))


def test_top_k(session: SequenceClassification, oracle: transformers.TextClassificationPipeline) -> None:
    for top_k in (1, 2, 5):
        same(session("good movie", top_k=top_k), oracle("good movie", top_k=top_k))
    assert session("good movie").label == oracle("good movie", top_k=1)[0]["label"]


def _with_problem_type(head: str, problem_type: str, folder: Path) -> Pair:
    """The same weights, declared as another kind of problem on both sides."""
    release = copied(head, folder / "release")
    checkpoint = Path(shutil.copytree(published(head, LABELS[head]).checkpoint, folder / "checkpoint"))
    config = transformers.DistilBertConfig(**(read_config(checkpoint) | {"problem_type": problem_type}))
    config.architectures = ["DistilBertForSequenceClassification"]
    config.save_pretrained(checkpoint)
    shutil.copyfile(checkpoint / "config.json", release / "config.json")
    write_manifest(release, replace(read_manifest(release), problem_type=problem_type))
    record_again(release)
    return Pair(checkpoint=checkpoint, release=release)


@pytest.mark.parametrize(
    "problem_type", ["multi_label_classification", "regression", "single_label_classification"]
)
def test_problem_types(tmp_path: Path, problem_type: str) -> None:
    pair = _with_problem_type(HEAD, problem_type, tmp_path)
    session = distilforge.open(pair.release, head=SequenceClassification)
    oracle = pipeline_of(pair.checkpoint)
    for text in TEXTS[:5]:
        same(session(text, top_k=None), oracle(text, top_k=None))


@pytest.mark.parametrize("problem_type", [None, "regression"])
def test_one_label(problem_type: str | None) -> None:
    pair = published(HEAD, ("grade",), problem_type)
    session = distilforge.open(pair.release, head=SequenceClassification)
    oracle = pipeline_of(pair.checkpoint)
    for text in TEXTS[:5]:
        same(session(text), oracle(text, top_k=None))
