"""Text from releases, checkpoints and data as a terminal may show it."""

import re

# Control characters (C0 without tab and newline, DEL and C1), line separators, characters that change the direction of
# the text after them (https://trojansource.codes), and halves of surrogate pairs, which no encoding can write
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""`text` with control characters as `\uXXXX`, so that a terminal does not obey them; newlines and tabs stay.

    JSON stays the same JSON: it escapes characters in the same way.
    """
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def encodable(text: str, encoding: str) -> str:
    r"""`text` with `\uXXXX` for every character that `encoding` lacks; JSON stays the same JSON."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_escaped(character, encoding) for character in text)
    return text


def _escaped(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        units = character.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[index : index + 2].hex()}" for index in range(0, len(units), 2))
    return character


def one_line(text: str) -> str:
    """`text` as `printable` has it, with a space for every newline and tab."""
    return re.sub(r"[ \t\n]*[\t\n][ \t\n]*", " ", printable(text))
