"""The runtime's answers against transformers' QuestionAnsweringPipeline."""

import distilforge
import pytest
import transformers
from distilforge import Answers, QuestionAnswering
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import WORDS
from tests.runtime_release import TEXTS, Pair, published

# transformers' own pipeline converts tensors in a way that numpy 2 will stop accepting.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

QUESTIONS = (
    ("who is the doctor?", "The doctor is not the King; the king of the river was the DOCTOR's cat."),
    ("what?", "naïve café — the Ångström’s rivière was unreadably slow 🐶 日本語"),
    ("where", "then " * 200),
    (
        "what is the fast red cat?",
        "The house. " + "The fastest cat was red and blue, and the dog opened a door. " * 8,
    ),
    ("a", "b"),
    ("why?", "x" * 150 + " y"),
    ("why?", "[CLS] the [SEP] cat"),
)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return published("question_answering")


@pytest.fixture(scope="module")
def session(pair: Pair) -> QuestionAnswering:
    return distilforge.open(pair.release, head=QuestionAnswering)


@pytest.fixture(scope="module")
def oracle(pair: Pair) -> transformers.QuestionAnsweringPipeline:
    return transformers.pipeline("question-answering", model=str(pair.checkpoint))


def same(actual: Answers, expected: dict[str, object] | list[dict[str, object]], context: str) -> None:
    answers = expected if isinstance(expected, list) else [expected]
    assert [(item.text, item.start, item.end) for item in actual.candidates] == [
        (item["answer"], item["start"], item["end"]) for item in answers
    ]
    assert [item.score for item in actual.candidates] == pytest.approx(
        [item["score"] for item in answers], abs=1e-5
    )
    assert all(item.text == context[item.start : item.end] for item in actual.candidates)


@pytest.mark.parametrize("impossible", [False, True])
@pytest.mark.parametrize("top_k", [1, 3, 20])
def test_questions(
    session: QuestionAnswering, oracle: transformers.QuestionAnsweringPipeline, top_k: int, impossible: bool
) -> None:
    results = session(list(QUESTIONS), top_k=top_k, handle_impossible_answer=impossible)
    for (question, context), answers in zip(QUESTIONS, results, strict=True):
        expected = oracle(
            question=question, context=context, top_k=top_k, handle_impossible_answer=impossible
        )
        same(answers, expected, context)


@pytest.mark.parametrize(
    ("max_seq_len", "doc_stride"), [(64, 32), (40, 10), (24, 3), (33, 0), (64, None), (40, None)]
)
@pytest.mark.parametrize(
    ("max_answer_len", "align_to_words"), [(15, True), (1, True), (40, False), (5, False)]
)
def test_windows(
    session: QuestionAnswering,
    oracle: transformers.QuestionAnsweringPipeline,
    max_seq_len: int,
    doc_stride: int | None,
    max_answer_len: int,
    align_to_words: bool,
) -> None:
    for question, context in (QUESTIONS[0], QUESTIONS[1], QUESTIONS[3]):
        answers = session(
            (question, context),
            top_k=3,
            max_seq_len=max_seq_len,
            doc_stride=doc_stride,
            max_answer_len=max_answer_len,
            align_to_words=align_to_words,
        )
        expected = oracle(
            question=question,
            context=context,
            top_k=3,
            max_seq_len=max_seq_len,
            doc_stride=doc_stride,
            max_answer_len=max_answer_len,
            align_to_words=align_to_words,
        )
        same(answers, expected, context)


@settings(max_examples=30, deadline=None)
@given(
    question=st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
    context=st.sampled_from(TEXTS),
    more=st.text(min_size=1, max_size=30),
)
def test_any_context(
    session: QuestionAnswering,
    oracle: transformers.QuestionAnsweringPipeline,
    question: list[str],
    context: str,
    more: str,
) -> None:
    pair = (" ".join(question), f"the {context} {more}")
    same(session(pair), oracle(question=pair[0], context=pair[1]), pair[1])
