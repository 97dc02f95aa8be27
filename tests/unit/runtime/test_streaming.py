"""Streams of inputs, answered by a function instead of a session."""

import gc
import weakref
from collections.abc import Callable, Iterator
from itertools import count, islice

import pytest
from distilforge.errors import DistilforgeError, EngineError, InputError
from distilforge.streaming import LOOK_AHEAD_CHARACTERS, outcomes, stream


class Doubles:
    """Answers a number with its double, and refuses some; remembers the lists that it was asked."""

    def __init__(self, *refused: int, error: type[DistilforgeError] = InputError) -> None:
        self.refused = refused
        self.error = error
        self.asked: list[list[int]] = []

    def __call__(self, values: list[int]) -> list[int]:
        self.asked.append(values)
        for index, value in enumerate(values):
            if value in self.refused:
                raise self.error(f"input {index} is {value}", hint="leave it out")
        return [2 * value for value in values]


def test_answers_come_in_order_from_windows() -> None:
    answer = Doubles()
    assert list(stream(range(10), answer, 4)) == [2 * value for value in range(10)]
    assert answer.asked == [[], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("look_ahead", [100, 10**30])
def test_long_texts_are_answered_before_they_fill_the_memory(look_ahead: int) -> None:
    taken = 0

    def source() -> Iterator[object]:
        nonlocal taken
        for _ in range(10):
            taken += 1
            yield "a" * (LOOK_AHEAD_CHARACTERS // 4), ["b" * (LOOK_AHEAD_CHARACTERS // 4)]

    answers = stream(source(), lambda values: [taken for _ in values], look_ahead)
    assert list(answers) == [2, 2, 4, 4, 6, 6, 8, 8, 10, 10]


def test_an_input_of_another_kind_is_left_to_the_answer() -> None:
    nested: list[object] = []
    for _ in range(10_000):
        nested = [nested]
    assert list(stream([nested, 7], lambda values: [0 for _ in values], 4)) == [0, 0]


def test_an_endless_source_is_read_no_further_than_the_look_ahead() -> None:
    source = count()
    answers = stream(source, Doubles(), 3)
    assert next(source) == 0  # nothing is taken before the first answer is asked for
    assert list(islice(answers, 4)) == [2, 4, 6, 8]
    assert next(source) == 7


@pytest.mark.parametrize("inputs", ["a text", 7, None])
def test_what_is_not_an_iterable_of_inputs_is_refused_at_once(inputs: object) -> None:
    with pytest.raises(InputError, match=r"takes an iterable of inputs, found (str|int|NoneType)"):
        stream(inputs, Doubles(), 4)  # type: ignore[arg-type]


def test_options_are_checked_at_once() -> None:
    def answer(values: list[int]) -> list[int]:
        raise InputError("top_k must be a whole number of at least 1, found 0")

    with pytest.raises(InputError, match=r"^top_k must be"):
        stream(iter([1]), answer, 4)
    with pytest.raises(InputError, match="look_ahead must be"):
        stream(iter([1]), Doubles(), 0)


@pytest.mark.parametrize("bad", [0, 3, 4, 9])
def test_an_error_has_the_position_and_comes_after_the_answers_before_it(bad: int) -> None:
    answers = stream(range(10), Doubles(bad), 4)
    assert list(islice(answers, bad)) == [2 * value for value in range(bad)]
    with pytest.raises(InputError, match=rf"^input {bad} is {bad}\n  hint: leave it out$"):
        next(answers)
    assert list(answers) == []


def test_the_first_of_several_bad_inputs_is_named() -> None:
    with pytest.raises(InputError, match=r"^input 5 is 5"):
        list(stream(range(10), Doubles(7, 5, 6), 100))


def test_an_engines_error_keeps_its_class() -> None:
    with pytest.raises(EngineError, match=r"^input 2 is 2"):
        list(stream(range(3), Doubles(2, error=EngineError), 100))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("option 1 of input 0 must be text", "option 1 of input 7 must be text"),
        ("input 0[1] must be text", "input 7[1] must be text"),
        (
            "context and option 0 has 9 tokens: 'input 0'",
            "input 7: context and option 0 has 9 tokens: 'input 0'",
        ),
        ("the first text has 90 tokens", "input 7: the first text has 90 tokens"),
        ("input 0 has 9 tokens: 'input 0'", "input 7 has 9 tokens: 'input 0'"),
    ],
)
def test_every_wording_gets_the_position(message: str, expected: str) -> None:
    def answer(values: list[int]) -> list[int]:
        raise InputError(message)

    (error,) = outcomes([1], answer, [7])
    assert isinstance(error, InputError)
    assert error.message == expected
    assert isinstance(error.__cause__, InputError)


def test_good_inputs_are_answered_beside_bad_ones() -> None:
    answered = list(outcomes(list(range(8)), Doubles(2, 3, 7), range(8)))
    assert [value for value in answered if isinstance(value, int)] == [0, 2, 8, 10, 12]
    errors = [value.message for value in answered if isinstance(value, InputError)]
    assert errors == ["input 2 is 2", "input 3 is 3", "input 7 is 7"]


def test_what_the_source_raises_comes_after_the_answers_to_what_it_gave() -> None:
    def source() -> Iterator[int]:
        yield from range(6)
        raise OSError("the disk is gone")

    answers = stream(source(), Doubles(), 4)
    assert list(islice(answers, 6)) == [0, 2, 4, 6, 8, 10]
    with pytest.raises(OSError, match="the disk is gone"):
        next(answers)


def test_a_source_without_inputs_has_no_answers() -> None:
    assert list(stream(iter(()), Doubles(), 4)) == []


def closed(answers: Iterator[int]) -> None:
    answers.close()  # type: ignore[attr-defined]


def abandoned(answers: Iterator[int]) -> None:
    del answers


@pytest.mark.parametrize("end", [closed, abandoned])
def test_a_stream_that_ends_early_leaves_the_source_and_nothing_else(
    end: Callable[[Iterator[int]], None],
) -> None:
    source = count()
    answers = stream(source, Doubles(), 3)
    assert next(answers) == 0
    left = weakref.ref(answers)  # type: ignore[type-var]
    end(answers)
    del answers
    gc.collect()
    assert left() is None
    assert next(source) == 3
