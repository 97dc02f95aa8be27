"""Inputs of every head, and the comparison of answers from different batches."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np

from tests.runtime_release import TEXTS

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


def assert_same_answer(answer: object, expected: object) -> None:
    """Fail unless the texts and labels are equal, and the numbers equal but for rounding."""
    assert list(texts(answer)) == list(texts(expected))
    np.testing.assert_allclose(list(numbers(answer)), list(numbers(expected)), rtol=TOLERANCE, atol=TOLERANCE)
