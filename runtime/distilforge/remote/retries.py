"""Requests over a network are tried again."""

import time
from collections.abc import Callable
from typing import TypeVar

from distilforge.errors import InputError, UnavailableError

T = TypeVar("T")
Tell = Callable[[str], None]
"""Receives a line about what is going on."""
Pause = Callable[[float], None]
"""Waits for some seconds."""

DELAYS_SECONDS = (1.0, 2.0, 4.0)
"""How long to wait before each new try."""
# Asked again, a store would answer the same
_FINAL = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError)


def say_nothing(text: str) -> None:
    """A `Tell` for nobody."""


def with_retries(request: Callable[[], T], tell: Tell, *, pause: Pause = time.sleep) -> T:
    """The result of `request`, which is tried again after an error that may be the network's.

    Each new try is said with its reason. Raises UnavailableError, with the last error chained, if every try fails, and
    at once the InputError of a file that is absent or that this user may not use.
    """
    for number, seconds in enumerate(DELAYS_SECONDS, start=1):
        try:
            return request()
        except InputError as error:
            if is_final(error):
                raise
            tell(f"{error.message}; trying again in {seconds:g} s ({number} of {len(DELAYS_SECONDS)})")
            pause(seconds)
    try:
        return request()
    except InputError as error:
        if is_final(error):
            raise
        raise UnavailableError(
            f"{error.message}; tried {len(DELAYS_SECONDS) + 1} times",
            hint="look at the network and the address, and run the same command again: it continues where it was",
        ) from error


def is_final(error: InputError) -> bool:
    """Whether a new try would fail in the same way: what is asked for is absent, forbidden, or cannot be."""
    return error.__cause__ is None or isinstance(error.__cause__, _FINAL)
