"""JSON that a signature consists of: whatever is not understood is refused."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path

from distilforge import json_text
from distilforge.errors import ReleaseError

MOST_BYTES = 16 << 20
"""The largest file of a signature that is read; a release of 10,000 files has 3 MB."""
SIGN_AGAIN = "copy the release again, or ask its publisher to sign it again"


def read(path: Path) -> bytes:
    """The content of the file `path`; ReleaseError if it cannot be read or has more than MOST_BYTES."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as cause:
        raise ReleaseError(f"{str(path)!r} cannot be read: {cause}", hint=SIGN_AGAIN) from cause
    if len(content) > MOST_BYTES:
        raise ReleaseError(
            f"{str(path)!r} has more than {MOST_BYTES:,} bytes, the most that is read", hint=SIGN_AGAIN
        )
    return content


def parse(content: bytes, place: str) -> object:
    """The value of the JSON document `content`; ReleaseError if it is malformed or has a name twice in an object."""
    try:
        return json_text.parse(content.decode("utf-8"))
    except ValueError as cause:
        raise ReleaseError(f"{place} is not valid JSON: {cause}", hint=SIGN_AGAIN) from cause


def members(value: object, names: Sequence[str], place: str) -> tuple[object, ...]:
    """The members of an object that has exactly `names`, in their order."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise unexpected(value, f"an object with {', '.join(names)}", place)
    return tuple(value[name] for name in names)


def member(value: object, name: str, place: str) -> object:
    """The member `name` of an object that may have others."""
    if not isinstance(value, dict) or name not in value:
        raise unexpected(value, f"an object with {name}", place)
    return value[name]


def entries(value: object, place: str) -> tuple[object, ...]:
    """The entries of a list."""
    if not isinstance(value, list):
        raise unexpected(value, "a list", place)
    return tuple(value)


def text(value: object, place: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise unexpected(value, "text", place)
    return value


def data(value: object, place: str) -> bytes:
    """The bytes that `value` has in Base64; text that a decoder would accept beside the right one is refused."""
    encoded = text(value, place)
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise unexpected(value, "Base64", place) from cause
    # The last character before the padding may have bits that a decoder ignores
    if base64.b64encode(decoded).decode() != encoded:
        raise unexpected(value, "Base64 without unused bits", place)
    return decoded


def unexpected(value: object, expected: str, place: str) -> ReleaseError:
    """The error for `value`, where `expected` belongs."""
    return ReleaseError(f"{place} must be {expected}, found {value!r:.80}", hint=SIGN_AGAIN)
