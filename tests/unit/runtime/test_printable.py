"""Text from strangers does not control the terminal."""

import json

import pytest
from distilforge.printable import one_line, printable


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
