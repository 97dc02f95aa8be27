"""The texts whose token ids are compared: those of the data, and made-up ones of every kind."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from distilforge.tokenizer import Text

from validation import data, tasks
from validation.tasks.base import Example

MOST_TEXTS = 2_000
"""How many texts are compared."""
MOST_OF_A_FILE = 500
"""How many texts of the evaluation data are compared, and how many of the calibration data."""
MOST_CHARACTERS = 50_000
"""How many characters these texts have together, for each file; more would take a build more than a second."""
_SEED = 0
_TOKENS_IN_A_TEXT = 4
_MOST_ADDED_TOKENS = 1_200
_PAIR_EVERY = 5
_MOST_WORDS = 4_096

# The first and the last code point of scripts and of other blocks that normalizers treat in a special way
_BLOCKS = (
    (0x20, 0x7E), (0xA1, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F),
    (0x531, 0x587), (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x74F), (0x900, 0x97F), (0x980, 0x9FF), (0xB80, 0xBFF),
    (0xC00, 0xC7F), (0xE01, 0xE5B), (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF),
    (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1780, 0x17FF), (0x1800, 0x18AA), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF),
    (0x1F00, 0x1FFF), (0x2010, 0x2027), (0x2070, 0x209F), (0x20A0, 0x20BF), (0x2100, 0x218F), (0x2190, 0x22FF),
    (0x2460, 0x24FF), (0x2500, 0x25FF), (0x2600, 0x27BF), (0x2E80, 0x2FD5), (0x3001, 0x303F), (0x3041, 0x3096),
    (0x30A1, 0x30FF), (0x3105, 0x318E), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA48C), (0xAC00, 0xD7A3),
    (0xE000, 0xF8FF), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE00, 0xFE0F), (0xFE70, 0xFEFF), (0xFF01, 0xFFEE),
    (0xFFF9, 0xFFFD), (0x10330, 0x1034A), (0x12000, 0x1236E), (0x1D100, 0x1D126), (0x1D400, 0x1D7FF),
    (0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF), (0x2F800, 0x2FA1D),
    (0xE0001, 0xE007F), (0x10FFFE, 0x10FFFF),
)  # fmt: skip
# C0 and C1, and characters that steer direction, width and line breaks
_CONTROLS = (
    *range(0x20), *range(0x7F, 0xA1), 0xAD, 0x34F, 0x61C, 0x115F, 0x180E, *range(0x2000, 0x2010),
    *range(0x2028, 0x2030), 0x205F, *range(0x2060, 0x2070), 0x3000, 0x3164, 0xFEFF, 0xFFA0,
)  # fmt: skip
_EMOJI = (
    "\U0001f600", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\u2764", "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f4\U000e0067\U000e0062\U000e007f",
)  # fmt: skip
_SENTENCES = (
    "", " ", "\n", "  two  spaces\tand\r\na line ", "Don't you can't we'll o'clock 'quoted' \"double\"",
    "e.g. https://example.org/a_b?c=d&e=%20#f user@example.org #tag @name $5.00 1,234.56 50% 3/4 1e-5 -7",
    "\u0130stanbul I\u0131 stra\u00dfe STRA\u1e9eE \ufb01 \u01c5",
    "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u03a3\u0391\u03a3",
    "caf\u00e9 cafe\u0301 \u212b \u00c5 A\u030a \ufb03 \u2460 \u00bd \u01c4 \u1e9b\u0323 \uac00 \u1100\u1161",
    "\u597d\u597dgood\u597d \u3053\u308c\u306f\u30c6\u30b9\u30c8\u3067\u3059\u3002 \uc601\ud654\ub294 \uc88b\ub2e4",
    "[CLS] [SEP] [PAD] [MASK] [UNK] [cls] [mask]s a[MASK]b [ MASK ] <s> </s> <mask> <pad> <unk> [unused1]",
    "_underscore_ snake_case -- --- ... \u2026 !!! ?!? (a) [b] {c} <d> a/b\\c a*b+c=d ~`^| \u00ab\u00bb\u2014\u2013",
)  # fmt: skip
_WORD_LENGTHS = (99, 100, 101, 255, 256, 257, 1_000)
_SEPARATORS = (" ", " ", " ", "  ", "\t", "\n", "\u00a0", "\u3000", "-", ", ", "")


def of_data(head: str, files: Iterable[Path]) -> tuple[Text, ...]:
    """Texts and pairs of the data `files` of `head`; raises DataError as data.load does."""
    texts: list[Text] = []
    for path in files:
        examples = data.read(path, tasks.find(head)(labels=(), labelled=False), head)
        of_file = dict.fromkeys(text for example in _spread(examples) for text in _of_example(example))
        texts += _first(list(of_file)[:MOST_OF_A_FILE])
    return tuple(texts)


def made_up(
    added_tokens: Sequence[str], pieces: Sequence[str], *, longest: int, count: int
) -> tuple[Text, ...]:
    """`count` texts and pairs, the same in each call: scripts, emoji, control characters, words, and each added token.

    `added_tokens` and `pieces` are tokens of the vocabulary. Some texts and pairs have more than `longest` tokens.
    """
    random = np.random.default_rng(_SEED)
    singles = [*_SENTENCES, *_with_emoji(), *_with_controls(), *_long_words(), *_with_added(added_tokens)]
    scripts = [_of_block(block, random) for block in _BLOCKS]
    words = " ".join([*_SENTENCES, *pieces, *scripts]).split()
    most = min(2 * longest, _MOST_WORDS)
    long = " ".join((words * (1 + most // len(words)))[:most])
    texts: list[Text] = [long, (long, long), ("a question", long), (long, "an answer"), *singles, *scripts]
    parts = [*singles, *scripts, *pieces, *pieces, *added_tokens]
    while len(texts) < count:
        mixture = _mixture(parts, pieces, random)
        texts.append((mixture, _mixture(parts, pieces, random)) if len(texts) % _PAIR_EVERY == 0 else mixture)
    return tuple(texts[:count])


def _spread(examples: Sequence[Example]) -> Sequence[Example]:
    return examples[:: -(-len(examples) // MOST_OF_A_FILE)]


def _first(texts: Sequence[Text]) -> Sequence[Text]:
    """The first of `texts`, with MOST_CHARACTERS together."""
    lengths = [len(text) if isinstance(text, str) else sum(map(len, text)) for text in texts]
    count = int(np.searchsorted(np.cumsum(lengths), MOST_CHARACTERS))
    return texts[: max(1, count)]


def _of_example(example: Example) -> Iterator[Text]:
    """The texts of an example, and pairs of its first text and the others; whatever its head, by its fields' types."""
    values = [getattr(example, field.name) for field in fields(example) if field.name != "place"]
    texts = [value for value in values if isinstance(value, str)]
    lists = [
        value for value in values if isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    ]
    yield from texts
    if texts:
        yield from (
            (texts[0], text) for text in [*texts[1:], *(text for several in lists for text in several)]
        )
    else:
        yield from (" ".join(several) for several in lists)


def _with_emoji() -> Iterator[str]:
    yield "".join(_EMOJI)
    for emoji in _EMOJI:
        yield f"so{emoji} good {emoji}{emoji} {emoji}, x"


def _with_controls() -> Iterator[str]:
    for code in _CONTROLS:
        yield f"a{chr(code)}b {chr(code)} c{chr(code)}"


def _long_words() -> Iterator[str]:
    for length in _WORD_LENGTHS:
        for letters in ("a", "Ab", "\u00e9", "e\u0301", "\u597d", "7", "\u03c3", "\U0001f600"):
            yield f"x {(letters * length)[:length]} y"


def _with_added(tokens: Sequence[str]) -> Iterator[str]:
    """Every token alone, inside words, beside itself, with spaces, and in other cases."""
    tokens = tokens[:_MOST_ADDED_TOKENS]
    at_once = 1 if len(tokens) <= _MOST_ADDED_TOKENS // _TOKENS_IN_A_TEXT else _TOKENS_IN_A_TEXT
    for start in range(0, len(tokens), at_once):
        yield " ".join(
            f"{token} a{token}b{token}{token} the  {token}  cat,{token}. {token.lower()} {token.upper()} {token[:-1]}"
            for token in tokens[start : start + at_once]
        )


def _of_block(block: tuple[int, int], random: np.random.Generator) -> str:
    """Eight words of one to eight characters of a block."""
    first, last = block
    words = [random.integers(first, last, size=random.integers(1, 9), endpoint=True) for _ in range(8)]
    return " ".join("".join(map(chr, word)) for word in words)


def _mixture(parts: Sequence[str], pieces: Sequence[str], random: np.random.Generator) -> str:
    """Some parts, cut to 40 characters each, and words of the vocabulary between them."""
    text = ""
    for index in map(int, random.integers(0, len(parts), size=random.integers(1, 9))):
        start = int(random.integers(0, max(1, len(parts[index]) - 40), endpoint=True))
        separator = _SEPARATORS[int(random.integers(0, len(_SEPARATORS)))]
        word = pieces[int(random.integers(0, len(pieces)))].removeprefix("##") if pieces else ""
        text += f"{parts[index][start : start + 40]}{separator}{word}{separator}"
    return text
