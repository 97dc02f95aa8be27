"""Reads the fields of a protocol buffer, such as an ONNX file, without the onnx package or a copy of its weights."""

import mmap
from collections.abc import Iterator
from pathlib import Path

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_MOST_TAG = 1 << 32
# The largest number that is one byte
_MOST_BYTE = 0x7F

Bytes = memoryview


def mapped(path: Path) -> mmap.mmap:
    """The content of the file `path`, read as it is used. Raises ValueError if it is empty, OSError if unreadable."""
    with path.open("rb") as file:
        # Not closed: on the way to an error there are still views of it
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def text(value: Bytes) -> str:
    """The text in the bytes of a field."""
    return bytes(value).decode(errors="replace")


def name(value: Bytes) -> str:
    """The name in the bytes of a field.

    Raises ValueError where it is not UTF-8: engines tell such names apart, and `text` may not.
    """
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as cause:
        raise ValueError(f"the name {bytes(value)!r:.200} in it is not UTF-8") from cause


def fields(message: Bytes) -> Iterator[tuple[int, int | Bytes]]:
    """The number and the value of every field: a whole number, or the bytes of a text, a message or packed numbers.

    Raises ValueError where the message is cut short, or has a field of an unknown kind or with too large a number.
    """
    place, end = 0, len(message)
    while place < end:
        # Most tags and sizes are one byte, and a call for each would take most of the time
        tag, place = message[place], place + 1
        if tag > _MOST_BYTE:
            tag, place = varint(message, place - 1)
        if tag >= _MOST_TAG:
            # Other readers drop the higher bits, and would see another field
            raise ValueError(f"field {tag >> 3} has too large a number")
        kind = tag & 7
        if kind == _VARINT:
            value, place = varint(message, place)
            yield tag >> 3, value
            continue
        if kind == _LENGTH:
            if place < end and (size := message[place]) <= _MOST_BYTE:
                place += 1
            else:
                size, place = varint(message, place)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"field {tag >> 3} has the unknown kind {kind}")
        if place + size > end:
            raise ValueError(f"field {tag >> 3} is cut short")
        if kind == _LENGTH:
            yield tag >> 3, message[place : place + size]
        place += size


def varint(message: Bytes, place: int) -> tuple[int, int]:
    """The whole number at `place`, and the place after it; ValueError where it is cut short."""
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("a number is cut short")
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7


def numbers(value: int | Bytes) -> Iterator[int]:
    """The whole numbers of a repeated field: one, or many that are packed. ValueError where one is cut short."""
    if isinstance(value, int):
        yield value
        return
    place = 0
    while place < len(value):
        number, place = varint(value, place)
        yield number
