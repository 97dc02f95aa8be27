"""Changes to bytes, whatever they mean: cut short, flipped, inserted, in another encoding."""

from tests.fuzz.mutations.choices import Choices

_INSERTED = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\xed\xa0\x80", b'"', b"}", b"\x1f\x8b", b"\xff" * 9, b"\x80" * 12,
)  # fmt: skip
_ENCODINGS = ("utf-8-sig", "utf-16", "utf-32", "latin-1")


def damaged(content: bytes, choices: Choices) -> bytes:
    """`content` with some bytes changed."""
    for _ in range(choices.number(1, 3)):
        at = choices.number(0, max(0, len(content) - 1))
        kind = choices.of(["flip", "cut", "insert", "drop", "repeat", "overwrite"])
        size = choices.number(1, 64)
        if kind == "flip" and content:
            content = content[:at] + bytes([content[at] ^ 1 << choices.number(0, 7)]) + content[at + 1 :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + size :]
        elif kind == "repeat":
            content = content[: at + size] + content[at:]
        elif kind == "overwrite":
            content = content[:at] + choices.number(0, 2**32 - 1).to_bytes(4, "big") + content[at + size :]
        else:
            content = content[:at] + choices.of(_INSERTED) + content[at:]
    return content


def sometimes_damaged(content: bytes, choices: Choices) -> bytes:
    """`content`, and once in eight times with some bytes changed."""
    return damaged(content, choices) if choices.once_in(8) else content


def encoded(text: str, choices: Choices) -> bytes:
    """`text` in UTF-8, at times damaged or in another encoding."""
    if choices.once_in(32):
        return text.encode(choices.of(_ENCODINGS), "replace")
    # Half characters are written as a careless writer does
    return sometimes_damaged(text.encode("utf-8", "surrogatepass"), choices)
