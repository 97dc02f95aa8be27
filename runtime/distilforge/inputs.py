"""Checking what applications pass to a session, and telling one input from a list of them."""

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from distilforge.errors import InputError
from distilforge.registry import nearest
from distilforge.tokenizer import Text

R = TypeVar("R")
Truncation = Literal["error", "truncate"]

# Beyond any machine's cores; engines start as many threads as they are told, or die trying
MOST_THREADS = 1024


def one_or_many(inputs: object, answer: Callable[[list[object]], list[R]]) -> R | list[R]:
    """One result for one input, a list for a list; whatever is no list is one input, for `answer` to judge."""
    if isinstance(inputs, list):
        return answer(inputs)
    return answer([inputs])[0]


def check_string(value: object, where: str) -> str:
    """`value` where it is text that can be encoded; InputError naming `where` it stood."""
    if not isinstance(value, str):
        found = f"{type(value).__name__}: {value!r:.80}"
        raise InputError(f"{where} must be text, found {found}", hint="pass one text, or a list of texts")
    try:
        value.encode()
    except UnicodeEncodeError as cause:
        raise InputError(
            f"{where} holds half a surrogate pair, {value[cause.start]!r}, at character {cause.start}",
            hint="decode the text's bytes again, with errors='replace'",
        ) from cause
    return value


def check_strings(values: Iterable[object]) -> list[str]:
    """The inputs where all are text; InputError naming the one that is not."""
    return [check_string(value, f"input {row}") for row, value in enumerate(values)]


def check_texts(values: Iterable[object]) -> list[Text]:
    """The inputs where each is text or a (text, text) pair; InputError naming the one that is not."""
    return [
        check_pair(value, f"input {row}") if isinstance(value, tuple) else check_string(value, f"input {row}")
        for row, value in enumerate(values)
    ]


def check_pair(value: object, where: str) -> tuple[str, str]:
    """`value` where it is a pair of texts; InputError naming `where` it stood."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise InputError(
            f"{where} must be a pair (text, text), found {value!r:.80}", hint="pass many inputs as a list"
        )
    return check_string(value[0], f"{where}[0]"), check_string(value[1], f"{where}[1]")


def check_option(name: str, value: str, options: tuple[str, ...]) -> None:
    """InputError where `value` is none of the `options` of the argument `name`."""
    if value not in options:
        raise InputError(f"{name} cannot be {value!r}", hint=nearest(str(value), options))


def check_positive(name: str, value: object) -> None:
    """InputError where the argument `name` is not a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be a whole number of at least 1, found {value!r}")


def check_threads(value: object) -> None:
    """InputError where `value` is no number of threads that an engine could start."""
    check_positive("threads", value)
    if isinstance(value, int) and value > MOST_THREADS:
        raise InputError(
            f"threads must be at most {MOST_THREADS}, found {value}",
            hint="more than the machine's cores gain nothing",
        )


def check_names(name: str, values: object) -> None:
    """InputError where the argument `name` is not a list or tuple of at least one name."""
    if (
        not isinstance(values, list | tuple)
        or not values
        or not all(isinstance(value, str) for value in values)
    ):
        raise InputError(
            f"{name} must be a list of names, found {values!r:.80}",
            hint=f"leave {name} out to have them chosen",
        )
