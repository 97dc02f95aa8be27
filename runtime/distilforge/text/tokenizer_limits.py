"""Limits of tokenizer.json, so that no text can keep the tokenizer busy for long or fill the memory.

The `tokenizers` library matches regular expressions by backtracking, and some patterns take time that grows with the
square of a text, or doubles with every character. WordPiece takes time with the square of a word, and with the prefix
of pieces inside words. Unigram takes time with the length of its longest piece, and an added token of white space that
takes the white space around it with the square of a text. A normalizer can make a text longer, and the next one again.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from math import prod

MOST_WORD_CHARACTERS = 256
"""The most characters of a word that WordPiece may split; a longer word is unknown. BERT has 100."""
MOST_PIECE_CHARACTERS = 256
"""The most characters of a piece of a Unigram model. SentencePiece makes pieces of at most 16."""
MOST_AFFIX_CHARACTERS = 32
"""The most characters of what marks pieces inside words, or at their ends. BERT has ##, and others have </w>."""
MOST_PARTS = 256
"""The most JSON objects in the normalizer, the pre-tokenizer, the post-processor and the decoder together."""
MOST_ADDED_TOKENS = 50_000
"""The most added tokens."""
MOST_ADDED_CHARACTERS = 1_000_000
"""The most characters of all added tokens; the library builds an automaton that has a state for each of them."""
MOST_STEPS = 1_000
"""The most steps that a regular expression may take at one position, before its unlimited repetitions."""
MOST_GROWTH = 64
"""How many times as long all normalizers and replacements together may make a text."""

# Each makes a text at most so many times as long: bytes become characters, and white space is put around characters
_GROWTH: Mapping[str, int] = {"ByteLevel": 2, "BertNormalizer": 3}
# The forms of Unicode do so too, but a second one does not make the text longer again
_FORMS: Mapping[str, int] = {"NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18}
_LENGTHENING = ("normalizer", "pre_tokenizer")
_AFFIXES = ("continuing_subword_prefix", "end_of_word_suffix")
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
# The one pattern with groups that is common: GPT-2's, which tokenizers' ByteLevel has built in. Its alternatives
# that could go back are followed by one that takes the same characters
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# One character, or a class of characters without classes inside it
_ATOM = r"""
    \\[pP]\{\^?\w+\}                           # a property, such as \p{L}
  | \\x\{[0-9a-fA-F]{1,6}\} | \\x[0-9a-fA-F]{2} | \\u[0-9a-fA-F]{4}
  | \\[wWdDsShHtnrfvaebBAzZ] | \\[^\w\s]       # a class, an anchor, or a character that is escaped
  | \[ \^? (?: \\[pP]\{\^?\w+\} | \\[^pP] | [^\\\[\]&] )+ \]
  | [^\\\[\](){}*+?|]                          # a character, a dot or an anchor
"""
_ANCHORS = ("^", "$", r"\b", r"\B", r"\A", r"\Z", r"\z")
# In Onigmo's syntax, a{2}+ repeats a{2}, and a++ is possessive
_ITEM = re.compile(
    rf"(?P<atom>{_ATOM}) (?: (?P<sign>[*+?])[+?]? | \{{(?P<low>\d\d?)?(?P<comma>,(?P<high>\d\d?)?)?\}} )?",
    re.VERBOSE | re.DOTALL,
)


def problem(document: object) -> str:
    """Why a tokenizer with the content `document` of tokenizer.json is refused; empty if it is not."""
    if not isinstance(document, dict):
        return "it must be a JSON object"
    model = document.get("model")
    if isinstance(model, dict):
        longest = model.get("max_input_chars_per_word")
        if isinstance(longest, int) and longest > MOST_WORD_CHARACTERS:
            return f"max_input_chars_per_word must be at most {MOST_WORD_CHARACTERS}, found {longest!r:.80}"
        if reason := _affix_problem(model) or _pieces_problem(model):
            return reason
    if reason := _added_problem(document.get("added_tokens")):
        return reason
    growth = _growth(list(_objects([document.get(name) for name in _LENGTHENING])))
    parts = list(_objects([document.get(name) for name in _PARTS]))
    if len(parts) > MOST_PARTS:
        return f"it has {len(parts)} parts; at most {MOST_PARTS} are allowed"
    for part in parts:
        pattern = part.get("Regex")
        if isinstance(pattern, str) and (reason := _pattern_problem(pattern)):
            return f"the regular expression {pattern!r:.80} {reason}"
        text = part.get("String")
        if isinstance(text, str) and len(text) > MOST_STEPS:
            return f"a text to replace has {len(text)} characters; at most {MOST_STEPS} are allowed"
        for added in (part.get("content"), part.get("prepend")):
            growth *= max(1, len(added)) if isinstance(added, str) else 1
        if _is_found_anywhere(part.get("pattern")) and isinstance(content := part.get("content"), str):
            # What is found between any two characters leaves them there
            growth *= 1 + len(content)
        if growth > MOST_GROWTH:
            return f"its normalizers can make a text more than {MOST_GROWTH} times as long"
    return ""


def _growth(parts: list[dict[str, object]]) -> int:
    """How many times as long the normalizers in `parts` that replace characters by rules or tables make a text."""
    kinds = [str(part.get("type")) for part in parts]
    tables = [part.get("precompiled_charsmap") for part in parts]
    replacements = sorted(
        (_longest_replacement(table) for table in tables if isinstance(table, str)), reverse=True
    )
    # SentencePiece's own table is a form of Unicode, too
    forms = [1, *(_FORMS.get(kind, 1) for kind in kinds), *replacements[:1]]
    return max(forms) * prod(replacements[1:]) * prod(_GROWTH.get(kind, 1) for kind in kinds)


def _is_found_anywhere(pattern: object) -> bool:
    """Whether a pattern can be found where there is no character, so that a replacement makes the text longer."""
    if not isinstance(pattern, dict):
        return False
    if isinstance(regex := pattern.get("Regex"), str):
        return _can_match_nothing(regex)
    return pattern.get("String") == ""


def _can_match_nothing(pattern: str) -> bool:
    """Whether an alternative of a regular expression takes no character; true where that cannot be told."""
    position, takes = 0, False
    while position < len(pattern):
        if pattern[position] == "|":
            if not takes:
                return True
            position, takes = position + 1, False
            continue
        item = _ITEM.match(pattern, position)
        if item is None:
            return True
        is_counted = item["low"] is not None or item["comma"] is not None
        is_optional = item["sign"] in ("*", "?") or (is_counted and not int(item["low"] or 0))
        takes |= not is_optional and item["atom"] not in _ANCHORS
        position = item.end()
    return not takes


def _longest_replacement(table: str) -> int:
    """The most characters of a replacement in SentencePiece's table: the size of an index, the index, and texts.

    1 for a table that is damaged, which the library refuses.
    """
    try:
        content = base64.b64decode(table)
    except ValueError:
        return 1
    texts = content[4 + int.from_bytes(content[:4], "little") :].split(b"\0")
    return max(1, *(len(text.decode(errors="replace")) for text in texts))


def _affix_problem(model: dict[str, object]) -> str:
    """Why a model's mark of pieces inside words is refused, which is copied for every piece; empty if it is not."""
    for name in _AFFIXES:
        affix = model.get(name)
        if isinstance(affix, str) and len(affix) > MOST_AFFIX_CHARACTERS:
            return (
                f"the {name} {affix!r:.80} has {len(affix):,} characters; "
                f"at most {MOST_AFFIX_CHARACTERS} are allowed"
            )
    return ""


def _pieces_problem(model: dict[str, object]) -> str:
    """Why the vocabulary of a Unigram model, which lists pieces with their scores, is refused; empty if it is not."""
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, list):
        return ""
    pieces = (entry[0] for entry in vocabulary if isinstance(entry, list) and entry)
    longest = max((piece for piece in pieces if isinstance(piece, str)), key=len, default="")
    if len(longest) > MOST_PIECE_CHARACTERS:
        return f"the piece {longest!r:.80} has {len(longest):,} characters; at most {MOST_PIECE_CHARACTERS} are allowed"
    return ""


def _added_problem(tokens: object) -> str:
    if not isinstance(tokens, list):
        return ""
    if len(tokens) > MOST_ADDED_TOKENS:
        return f"it has {len(tokens):,} added tokens; at most {MOST_ADDED_TOKENS:,} are allowed"
    for token in tokens:
        content = token.get("content") if isinstance(token, dict) else None
        if isinstance(content, str) and content.isspace() and (token.get("lstrip") or token.get("rstrip")):
            return (
                f"the added token {content!r:.80} is white space and takes the white space around it (lstrip, rstrip), "
                "so its time can grow with the square of a text"
            )
    contents = (token.get("content") for token in tokens if isinstance(token, dict))
    characters = sum(len(content) for content in contents if isinstance(content, str))
    if characters > MOST_ADDED_CHARACTERS:
        return (
            f"its added tokens have {characters:,} characters; at most {MOST_ADDED_CHARACTERS:,} are allowed"
        )
    return ""


def _objects(values: list[object]) -> Iterator[dict[str, object]]:
    """All JSON objects in `values` and below."""
    while values:
        value = values.pop()
        if isinstance(value, dict):
            yield value
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)


def _pattern_problem(pattern: str) -> str:
    """Why a regular expression is refused; empty if its time is in proportion to the text.

    An unlimited repetition must end its alternative: nothing after it can fail and make the search go back.
    """
    if pattern == _GPT2:
        return ""
    position = steps = 0
    length = ways = 1
    unlimited = False
    while position < len(pattern):
        if pattern[position] == "|":
            position, length, ways, unlimited = position + 1, 1, 1, False
            continue
        item = _ITEM.match(pattern, position)
        if item is None:
            return (
                f"has {pattern[position]!r} at character {position + 1}; only characters, classes, alternatives and "
                "repetitions of one character or class are allowed"
            )
        if unlimited:
            return "goes on after an unlimited repetition, so its time can grow with the square of a text"
        position = item.end()
        low = int(item["low"] or 0)
        unlimited = item["sign"] in ("*", "+") or (item["comma"] == ",")
        if item["sign"] == "?":
            ways *= 2
        elif item["high"]:
            ways *= 1 + max(0, int(item["high"]) - low)
        length += max(1, low)
        steps += ways * length
        if steps > MOST_STEPS:
            return f"can take more than {MOST_STEPS} steps at one position of a text"
    return ""
