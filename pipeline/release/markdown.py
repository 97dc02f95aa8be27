"""Values of a release in Markdown: as text, whatever they contain."""

import re

from distilforge.printable import one_line

# The characters that begin a construct of CommonMark or of GitHub's tables and strikethrough. An underscore between
# letters, a `<` before a space and an `&` that begins no entity mean nothing: names and numbers stay readable.
_SPECIAL = re.compile(r"[\\`*\[\]|~]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")


def escape(text: str) -> str:
    """`text` on one line, with a backslash before each character that Markdown would interpret, and `&lt;` for `<`.

    A tag is not even in the file then, for readers that do not know Markdown's backslashes.
    Source: https://spec.commonmark.org/0.31.2/#backslash-escapes
    """
    return _SPECIAL.sub(lambda match: "&lt;" if match[0] == "<" else f"\\{match[0]}", one_line(text))
