"""Text from strangers does not control the terminal."""

import json

import pytest
from distilforge.printable import encodable, one_line, printable


@pytest.mark.parametrize(
    "character", ["\x1b", "\x07", "\r", "\x7f", "\x9b", "\u202e", "\u2066", "\u2028", "\ud800"]
)
def test_control_characters_become_escapes(character: str) -> None:
    assert printable(f"a{character}b") == f"a\\u{ord(character):04x}b"


@pytest.mark.parametrize("text", ["", "two\nlines\tand a tab", "naïve 日本語 👩‍👩‍👧 :100: [bold]", "שלום"])
def test_other_text_stays(text: str) -> None:
    assert printable(text) == text


def test_json_stays_the_same_value() -> None:
    value = {"label": "\x1b]0;owned\x07 \x9b \u202e"}
    assert json.loads(printable(json.dumps(value, ensure_ascii=False))) == value


def test_a_line_stays_one_line() -> None:
    assert one_line("name\n\n  error: not ours\tat all") == "name error: not ours at all"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
@pytest.mark.parametrize("text", ["plain", "naïve 日本語 👩", "\udcff"])
def test_what_an_encoding_lacks_becomes_an_escape_that_json_reads(text: str, encoding: str) -> None:
    written = encodable(json.dumps({"a": text}, ensure_ascii=False), encoding)
    written.encode(encoding)
    assert json.loads(written) == {"a": text}


def test_what_an_encoding_has_stays() -> None:
    assert encodable("naïve 日", "latin-1") == "naïve \\u65e5"
