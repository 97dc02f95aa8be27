"""For every head: one input gives one result, a list gives a list, and an error names the input."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import distilforge
import numpy as np
import pytest
from distilforge import (
    Features,
    InputError,
    MaskedLanguageModel,
    MultipleChoice,
    QuestionAnswering,
    SequenceClassification,
    Session,
    TokenClassification,
)

from tests.runtime_release import LABELS, published

GOOD: dict[str, object] = {
    "features": "the movie",
    "masked_lm": "the [MASK] movie",
    "multiple_choice": ("the movie was", ["good", "bad"]),
    "question_answering": ("who?", "the doctor and the king"),
    "sequence_classification": "a good movie",
    "token_classification": "the doctor and the king",
}
NOT_TEXT = (None, 3, b"a", ["nested"], ("a", "b", "c"), ("a", 3), {"text": "a"}, "half \ud800")
LONG = "the cat " * 60
TOO_LONG: dict[str, object] = {
    "features": LONG,
    "masked_lm": "[MASK] " + LONG,
    "multiple_choice": (LONG, ["good", "bad"]),
    "sequence_classification": (LONG, LONG),
    "token_classification": LONG,
}


def opened(head: str) -> Session:
    return distilforge.open(published(head, LABELS.get(head, ())).release)


@pytest.fixture(scope="module")
def sessions() -> dict[str, Session]:
    return {head: opened(head) for head in GOOD}


def call(session: Session, *arguments: object, **options: object) -> object:
    assert isinstance(session, Callable)  # type: ignore[arg-type]
    return session(*arguments, **options)


def exact(result: object) -> bytes:
    """A whole result, with arrays, to the last bit."""
    return pickle.dumps(result)


@pytest.mark.parametrize("head", GOOD)
def test_one_and_many(sessions: dict[str, Session], head: str) -> None:
    session, good = sessions[head], GOOD[head]
    one = call(session, good)
    assert not isinstance(one, list)
    many = call(session, [good] * 20)
    assert isinstance(many, list)
    assert len(many) == 20
    assert call(session, []) == []


@pytest.mark.parametrize("head", GOOD)
@pytest.mark.parametrize("bad", NOT_TEXT)
def test_an_input_that_is_not_text(sessions: dict[str, Session], head: str, bad: object) -> None:
    if head == "multiple_choice" and bad == "half \ud800":
        bad = ("half \ud800", ["a", "b"])
    with pytest.raises(InputError, match="input 1"):
        call(sessions[head], [GOOD[head], bad])


@pytest.mark.parametrize("head", TOO_LONG)
def test_a_text_that_is_too_long(sessions: dict[str, Session], head: str) -> None:
    with pytest.raises(
        InputError, match=r"has \d+ tokens, and this release takes at most 64.*\n  hint: .*truncat"
    ):
        call(sessions[head], TOO_LONG[head])
    assert call(sessions[head], TOO_LONG[head], truncation="truncate") is not None
    with pytest.raises(InputError, match="truncation cannot be 'cut'"):
        call(sessions[head], GOOD[head], truncation="cut")


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\x00"])
@pytest.mark.parametrize("head", ["features", "sequence_classification", "token_classification"])
def test_text_without_tokens(sessions: dict[str, Session], head: str, text: str) -> None:
    call(sessions[head], text)
    call(sessions[head], [text, GOOD[head]])


def test_question_without_tokens(sessions: dict[str, Session]) -> None:
    session = sessions["question_answering"]
    assert isinstance(session, QuestionAnswering)
    assert session(("", "the king")).text
    empty = session(("who?", " "))
    assert (empty.text, empty.start, empty.end, empty.score) == ("", 0, 0, 0.0)


def test_question_that_fills_the_window(sessions: dict[str, Session]) -> None:
    session = sessions["question_answering"]
    assert isinstance(session, QuestionAnswering)
    with pytest.raises(InputError, match="120 tokens and leaves no room"):
        session((LONG, "the king"))
    with pytest.raises(InputError, match="windows cannot overlap by 60 tokens"):
        session(("who?", LONG), doc_stride=60)
    with pytest.raises(InputError, match="max_seq_len is 65; this release takes at most 64"):
        session(("who?", LONG), max_seq_len=65)
    # One token of room is enough if the session chooses the overlap
    assert session(("cat " * 60, "the king read")).candidates


@pytest.mark.parametrize("option", ["top_k", "max_answer_len", "max_seq_len"])
@pytest.mark.parametrize("value", [0, -1, 2.0])
def test_counts_that_are_not_at_least_one(sessions: dict[str, Session], option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{option} must be a whole number of at least 1, found {value}"):
        call(sessions["question_answering"], ("who?", "the king"), **{option: value})


def test_options_that_do_not_exist(sessions: dict[str, Session]) -> None:
    with pytest.raises(InputError, match=r"aggregation cannot be 'avrage'\n.*did you mean 'average'"):
        call(sessions["token_classification"], "a", aggregation="avrage")
    with pytest.raises(InputError, match=r"pooling cannot be 'tokens'\n.*did you mean 'token'"):
        call(sessions["features"], "a", pooling="tokens")
    with pytest.raises(InputError, match="top_k must be"):
        call(sessions["sequence_classification"], "a", top_k=0)


def test_text_without_a_mask(sessions: dict[str, Session]) -> None:
    session = sessions["masked_lm"]
    assert isinstance(session, MaskedLanguageModel)
    assert session.mask == "[MASK]"
    with pytest.raises(InputError, match=r"input 0 has no mask to fill\n  hint: write \[MASK\]"):
        session("the movie")
    with pytest.raises(InputError, match="input 0 has no mask"):
        session(LONG + " [MASK]", truncation="truncate")
    with pytest.raises(InputError, match="the target 'movies' is not one token but 2: 'movie ##s'"):
        session("the [MASK]", targets=("good", "movies"))


def test_number_of_options(sessions: dict[str, Session]) -> None:
    session = sessions["multiple_choice"]
    assert isinstance(session, MultipleChoice)
    for count in (0, 1, 6):
        with pytest.raises(InputError, match=f"input 0 has {count} options; this release takes 2 to 5"):
            session(("the movie", ["good"] * count))
    results = session([("the movie", ["good"] * count) for count in (2, 5, 3, 2)])
    assert [len(result.scores) for result in results] == [2, 5, 3, 2]
    assert all(
        result.scores == pytest.approx([1 / len(result.scores)] * len(result.scores)) for result in results
    )


def test_order_is_kept_whatever_the_lengths(sessions: dict[str, Session]) -> None:
    session = sessions["features"]
    assert isinstance(session, Features)
    texts = ["the cat " * (1 + (7 * row) % 20) for row in range(40)]
    for text, together in zip(texts, session(texts), strict=True):
        np.testing.assert_allclose(together, session(text), atol=1e-5)


def test_embeddings_do_not_share_memory_with_the_session(sessions: dict[str, Session]) -> None:
    session = sessions["features"]
    assert isinstance(session, Features)
    for pooling in ("token", "cls", "mean"):
        vectors = session("the movie", pooling=pooling)
        assert vectors.base is None
        assert vectors.dtype == np.float32


def test_results_have_the_best_first(sessions: dict[str, Session]) -> None:
    classifier, tagger = sessions["sequence_classification"], sessions["token_classification"]
    assert isinstance(classifier, SequenceClassification)
    assert isinstance(tagger, TokenClassification)
    result = classifier("a good movie", top_k=None)
    assert (result.label, result.score) == (result.labels[0].label, max(item.score for item in result.labels))
    text = "the doctor and the king"
    assert all(text[entity.start : entity.end] == entity.text for entity in tagger(text))


@pytest.mark.parametrize("head", GOOD)
def test_threads_get_the_results_of_a_single_thread(sessions: dict[str, Session], head: str) -> None:
    session, good = sessions[head], GOOD[head]
    inputs = [good, [good] * 3, [good] * 7] * 12
    serial = [exact(call(session, item)) for item in inputs]
    with ThreadPoolExecutor(max_workers=8) as pool:
        for _ in range(3):
            assert [exact(result) for result in pool.map(lambda item: call(session, item), inputs)] == serial
