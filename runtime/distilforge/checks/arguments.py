"""Check what applications pass to a session, and tell one input from a list of them."""

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from distilforge.errors import InputError
from distilforge.registry import nearest
from distilforge.tokenizer import Text

R = TypeVar("R")
Truncation = Literal["error", "truncate"]

# More than any machine has cores. An engine that is given a huge number starts that many threads and may crash
MOST_THREADS = 1024
MOST_TEXT_CHARACTERS = 1_000_000
"""The most characters of a text. Tokenizing so many takes some seconds and 300 MB, whether it is cut off or not."""


def one_or_many(inputs: object, answer: Callable[[list[object]], list[R]]) -> R | list[R]:
    """One result for one input, a list of results for a list.

    Everything but a list is one input. `answer` gets a list of inputs, checks them, and returns a result for each.
    """
    if isinstance(inputs, list):
        return answer(inputs)
    return answer([inputs])[0]


def check_string(value: object, where: str) -> str:
    """Return `value` if it is a string that can be encoded, of at most MOST_TEXT_CHARACTERS.

    Otherwise raises InputError; `where` says where the value was, such as "input 3".
    """
    if not isinstance(value, str):
        raise InputError(
            f"{where} must be text, found {type(value).__name__}: {value!r:.80}",
            hint="pass one text, or a list of texts",
        )
    if len(value) > MOST_TEXT_CHARACTERS:
        raise InputError(
            f"{where} has {len(value):,} characters; a text may have at most {MOST_TEXT_CHARACTERS:,}",
            hint="split it, or pass its beginning",
        )
    try:
        value.encode()
    except UnicodeEncodeError as cause:
        raise InputError(
            f"{where} holds half a surrogate pair, {value[cause.start]!r}, at character {cause.start}",
            hint="decode the text's bytes again, with errors='replace'",
        ) from cause
    return value


def check_strings(values: Iterable[object]) -> list[str]:
    """Return the inputs if all are strings; otherwise raises InputError with the index of the first that is not."""
    return [check_string(value, f"input {row}") for row, value in enumerate(values)]


def check_texts(values: Iterable[object]) -> list[Text]:
    """Return the inputs if each is a string or a pair (text, text).

    Otherwise raises InputError with the index of the first that is not.
    """
    return [
        check_pair(value, f"input {row}") if isinstance(value, tuple) else check_string(value, f"input {row}")
        for row, value in enumerate(values)
    ]


def check_pair(value: object, where: str) -> tuple[str, str]:
    """Return `value` if it is a pair (text, text).

    Otherwise raises InputError; `where` says where the value was, such as "input 3".
    """
    if not isinstance(value, tuple) or len(value) != 2:
        raise InputError(
            f"{where} must be a pair (text, text), found {value!r:.80}", hint="pass many inputs as a list"
        )
    return check_string(value[0], f"{where}[0]"), check_string(value[1], f"{where}[1]")


def check_option(name: str, value: str, options: tuple[str, ...]) -> None:
    """Raise InputError if `value` is not one of the `options` of the argument `name`."""
    if value not in options:
        raise InputError(f"{name} cannot be {value!r}", hint=nearest(str(value), options))


def check_positive(name: str, value: object) -> None:
    """Raise InputError if the argument `name` is not a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(
            f"{name} must be a whole number of at least 1, found {value!r}", hint="pass 1 or more"
        )


def check_threads(value: object) -> None:
    """Raise InputError if `value` is not a number of threads from 1 to MOST_THREADS."""
    check_positive("threads", value)
    if isinstance(value, int) and value > MOST_THREADS:
        raise InputError(
            f"threads must be at most {MOST_THREADS}, found {value}",
            hint="more threads than cores do not make a run faster",
        )


def check_names(name: str, values: object) -> None:
    """Raise InputError if the argument `name` is not a list or tuple of at least one string."""
    if (
        not isinstance(values, list | tuple)
        or not values
        or not all(isinstance(value, str) for value in values)
    ):
        raise InputError(
            f"{name} must be a list of names, found {values!r:.80}",
            hint=f"leave {name} out to use the variant's own",
        )
