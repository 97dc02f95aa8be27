"""Every head's stream gives the answers of a call, and errors name the position."""

from itertools import cycle, islice

import distilforge
import pytest
from distilforge.errors import InputError
from distilforge.heads import heads

from tests.head_answers import INPUTS, TOO_LONG, assert_same_answer
from tests.runtime_release import LABELS, published


@pytest.mark.parametrize("head", heads.names())
def test_the_answers_are_those_of_each_input_alone(head: str) -> None:
    session = distilforge.open(published(head, LABELS.get(head, ())).release, threads=1)
    inputs = list(islice(cycle(INPUTS[head]), 25))
    answers = list(session.stream(iter(inputs), look_ahead=10))  # type: ignore[attr-defined]
    assert len(answers) == 25
    for value, answer in zip(inputs, answers, strict=True):
        assert_same_answer(answer, session(value))  # type: ignore[operator]


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
