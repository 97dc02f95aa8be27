"""Answer a stream of inputs, and tell the inputs that cannot be answered from the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from distilforge.checks.arguments import check_positive
from distilforge.errors import DistilforgeError, InputError

T = TypeVar("T")
R = TypeVar("R")
Answer = Callable[[list[T]], list[R]]
"""Answers a list of inputs, in order; raises a DistilforgeError if one of them cannot be answered."""

LOOK_AHEAD = 512
"""How many inputs a stream takes before it answers them, unless it is told otherwise."""
LOOK_AHEAD_CHARACTERS = 2_000_000
"""After so many characters it answers what it has, so that long texts do not fill the memory."""
# The input of multiple choice is a pair of a text and a list of texts
_LEVELS = 2
# How our own errors call the only input of a list
_ONLY = "input 0"


def stream(inputs: Iterable[T], answer: Answer[T, R], look_ahead: int) -> Iterator[R]:
    """The answers to `inputs`, in order; at most `look_ahead` inputs and their answers are in memory.

    Nothing runs between two answers, so a stream may be closed or dropped at any time. `inputs` is not closed. If it
    raises, the inputs before are answered first, and then the same exception is raised.

    Raises InputError at once if an option is not valid, and later the error of the first input that cannot be answered,
    with its position.
    """
    check_positive("look_ahead", look_ahead)
    if isinstance(inputs, str) or not isinstance(inputs, Iterable):
        raise InputError(
            f"a stream takes an iterable of inputs, found {type(inputs).__name__}: {inputs!r:.80}",
            hint="call the session itself to answer one input",
        )
    # An empty list checks the options, before any input is taken
    answer([])
    return _stream(iter(inputs), answer, look_ahead)


def outcomes(
    inputs: list[T], answer: Answer[T, R], positions: Sequence[int]
) -> Iterator[R | DistilforgeError]:
    """For every input its answer, or the error that it causes, which names the input's entry of `positions`.

    The inputs are answered together. If that fails, both halves are tried, and so on. A half is only tried when its
    first answer is asked for.
    """
    if not inputs:
        return
    try:
        answers = answer(inputs)
    except DistilforgeError as error:
        failure = error
    else:
        yield from answers
        return
    if len(inputs) == 1:
        yield _at(failure, positions[0])
        return
    half = len(inputs) // 2
    yield from outcomes(inputs[:half], answer, positions[:half])
    yield from outcomes(inputs[half:], answer, positions[half:])


def _stream(inputs: Iterator[T], answer: Answer[T, R], look_ahead: int) -> Iterator[R]:
    position = 0
    failure: Exception | None = None
    while failure is None:
        window: list[T] = []
        characters = 0
        ended = False
        try:
            while len(window) < look_ahead and characters < LOOK_AHEAD_CHARACTERS:
                value = next(inputs)
                window.append(value)
                characters += _characters(value)
        except StopIteration:
            ended = True
        except Exception as raised:  # noqa: BLE001 - it is raised again after the answers
            failure = raised
        for outcome in outcomes(window, answer, range(position, position + len(window))):
            if isinstance(outcome, DistilforgeError):
                raise outcome
            yield outcome
        position += len(window)
        if ended:
            break
    if failure is not None:
        raise failure


def _characters(value: object, levels: int = _LEVELS) -> int:
    if levels and isinstance(value, (tuple, list)):
        return sum(_characters(entry, levels - 1) for entry in value)
    return len(value) if isinstance(value, str) else 1


def _at(error: DistilforgeError, position: int) -> DistilforgeError:
    """`error`, which is about the only input of a list, as an error about the input at `position`."""
    before, name, after = error.message.partition(_ONLY)
    # After a colon or a quotation mark stands the caller's text
    ours = name and ":" not in before and "'" not in before
    message = f"{before}input {position}{after}" if ours else f"input {position}: {error.message}"
    renamed = type(error)(message, hint=error.hint)
    renamed.__cause__ = error
    return renamed
