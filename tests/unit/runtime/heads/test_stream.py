"""Every head's stream gives the answers of a call, and errors name the position."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import cycle, islice

import distilforge
import numpy as np
import pytest
from distilforge.errors import InputError
from distilforge.heads import heads

from tests.runtime_release import LABELS, TEXTS, published

# Batches of other lengths add up in another order. The same numbers agree to this many parts of the largest; 20
# roundings of float32 are 1.2e-6
TOLERANCE = 1e-5
SHORT = tuple(text for text in TEXTS if len(text) < 40)
INPUTS: dict[str, list[object]] = {
    "features": [*SHORT, ("the film", "was good")],
    "masked_lm": [f"{text} [MASK]" for text in SHORT],
    "multiple_choice": [
        (text, ["good", "bad", "not very good"][: 2 + index % 2]) for index, text in enumerate(SHORT)
    ],
    "question_answering": [("who was it?", f"{text} the doctor") for text in SHORT],
    "sequence_classification": [*SHORT, ("the film", "was good")],
    "token_classification": [*SHORT],
}
TOO_LONG: dict[str, object] = {
    "features": "cat " * 100,
    "masked_lm": "no mask",
    "multiple_choice": ("cat " * 100, ["good", "bad"]),
    "question_answering": ("cat " * 100, "the doctor"),
    "sequence_classification": "cat " * 100,
    "token_classification": "cat " * 100,
}


def numbers(value: object) -> Iterator[float]:
    """Every floating-point number in an answer."""
    if isinstance(value, np.ndarray):
        yield from value.ravel().tolist()
    elif isinstance(value, float):
        yield value
    elif isinstance(value, tuple):
        for entry in value:
            yield from numbers(entry)
    elif is_dataclass(value):
        for field in fields(value):
            yield from numbers(getattr(value, field.name))


def texts(value: object) -> Iterator[object]:
    """Every text, index and label in an answer."""
    if isinstance(value, (str, int)):
        yield value
    elif isinstance(value, tuple):
        for entry in value:
            yield from texts(entry)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))


@pytest.mark.parametrize("head", heads.names())
def test_the_answers_are_those_of_each_input_alone(head: str) -> None:
    session = distilforge.open(published(head, LABELS.get(head, ())).release, threads=1)
    inputs = list(islice(cycle(INPUTS[head]), 25))
    answers = list(session.stream(iter(inputs), look_ahead=10))  # type: ignore[attr-defined]
    assert len(answers) == 25
    for value, answer in zip(inputs, answers, strict=True):
        alone = session(value)  # type: ignore[operator]
        assert list(texts(answer)) == list(texts(alone))
        np.testing.assert_allclose(
            list(numbers(answer)), list(numbers(alone)), rtol=TOLERANCE, atol=TOLERANCE
        )


@pytest.mark.parametrize("head", heads.names())
def test_an_error_names_the_position(head: str) -> None:
    session = distilforge.open(published(head, LABELS.get(head, ())).release, threads=1)
    inputs = [*islice(cycle(INPUTS[head]), 17), TOO_LONG[head], *INPUTS[head]]
    answers = session.stream(iter(inputs), look_ahead=10)  # type: ignore[attr-defined]
    assert len(list(islice(answers, 17))) == 17
    with pytest.raises(InputError, match=r"^input 17\b"):
        next(answers)


def test_options_are_those_of_a_call() -> None:
    head = "sequence_classification"
    session = distilforge.open(
        published(head, LABELS[head]).release, threads=1, head=distilforge.SequenceClassification
    )
    (answer,) = session.stream(["cat " * 100], top_k=None, truncation="truncate")
    assert len(answer.labels) == len(LABELS[head])
    with pytest.raises(InputError, match="top_k must be"):
        session.stream(["the film"], top_k=0)
