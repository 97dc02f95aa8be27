"""What one request may hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from distilforge.errors import InputError

BODY_BYTES = 2_000_000
"""The largest body, unless it is told otherwise; text-embeddings-inference has the same."""
TEXTS = 32
"""The most inputs of a request, unless it is told otherwise; text-embeddings-inference has the same."""
CHARACTERS = 100_000
"""The longest text, unless it is told otherwise."""
BODY_SECONDS = 10.0
"""How long a body may take to come. A stop of the service waits for it."""


class TooSlowError(InputError):
    """The body of a request does not come."""


class EncodedError(InputError):
    """The body of a request is compressed."""


class TooLargeError(InputError):
    """A request has too many bytes or too many inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """The limits of a request."""

    body_bytes: int = BODY_BYTES
    """The largest body."""
    texts: int = TEXTS
    """The most inputs: texts, pairs, questions, or rows of a tensor."""
    characters: int = CHARACTERS
    """The most characters of a text."""
    body_seconds: float = BODY_SECONDS
    """How long a body may take to come."""

    def check_body(self, size_bytes: int) -> None:
        """Raise TooLargeError for a body of `size_bytes` or more bytes that is too large."""
        if size_bytes > self.body_bytes:
            raise TooLargeError(
                f"the body has {size_bytes:,} bytes or more; this service takes at most {self.body_bytes:,}",
                hint="send fewer texts in a request, or start the service with a larger --max-body",
            )

    def check_count(self, count: int) -> None:
        """Raise TooLargeError if a request has `count` inputs and that is too many, InputError for none."""
        if count > self.texts:
            raise TooLargeError(
                f"the request has {count} inputs; this service takes at most {self.texts} at once",
                hint="send several requests: the service answers them together",
            )
        if count < 1:
            raise InputError("the request has no inputs", hint='for example {"inputs": ["A text."]}')

    def check_texts(self, values: Sequence[object]) -> None:
        """Raise TooLargeError for too many inputs, and InputError for none or for a text that is too long."""
        self.check_count(len(values))
        for index, value in enumerate(values):
            for text in _texts(value):
                if len(text) > self.characters:
                    raise InputError(
                        f"input {index} has a text of {len(text):,} characters; this service takes at most "
                        f"{self.characters:,}",
                        hint="shorten it, or start the service with a larger --max-characters",
                    )


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list)):
        for entry in value:
            yield from _texts(entry)
