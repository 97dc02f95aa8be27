"""The comparison of a release's token ids with those of transformers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from distilforge.text.batching import pad
from distilforge.tokenizer import Encoding, Text, Tokenizer

from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder
from validation.token_ids import texts
from validation.token_ids.oracle import Oracle, OracleError, Tokens
from validation.token_ids.result import TokenIdComparison

FEWEST = 8
"""Texts are not cut to fewer tokens: a pair would hardly have any besides its special tokens."""
SHORT = 16
"""The tokens to which texts are cut, besides the model's limit, which few texts reach."""
CUT_EVERY = 4
"""Of how many texts one is cut."""
PADDED = 16
"""How many texts are padded to one length."""
_SHOWN_IDS = 24
_HINT = (
    "make the checkpoint's tokenizer files agree: AutoTokenizer.from_pretrained(folder).save_pretrained(folder). "
    "If that does not help, distilforge cannot publish this tokenizer: please report it with this text"
)


def compare(
    release: Path, checkpoint: CheckpointFolder, of_data: Sequence[Text], *, longest: int
) -> TokenIdComparison:
    """Encode `of_data` and made-up texts with the tokenizer in the folder `release`, and as transformers does.

    Whole, cut to `longest` and to a few tokens, and padded. Raises CheckpointError, with both sequences of ids, for the
    first text that differs. If transformers is not installed or does not load the tokenizer, the result says so.
    """
    try:
        oracle = Oracle(checkpoint)
        made_up = texts.made_up(
            oracle.added_tokens,
            oracle.pieces(texts.MOST_TEXTS // 2),
            longest=longest,
            count=texts.MOST_TEXTS - len(of_data),
        )
        all_texts = (*made_up, *of_data)
        _compare(Tokenizer(release), oracle, all_texts, longest, checkpoint.path)
    except OracleError as error:
        return TokenIdComparison(oracle="", texts=0, obstacle=str(error))
    return TokenIdComparison(oracle=oracle.name, texts=len(all_texts))


def _compare(
    tokenizer: Tokenizer, oracle: Oracle, all_texts: Sequence[Text], longest: int, checkpoint: Path
) -> None:
    encodings = tokenizer.encode(all_texts)
    _check(all_texts, encodings, oracle.encode(all_texts), "", oracle.name, checkpoint)
    too_long = [row for row, encoding in enumerate(encodings) if len(encoding) > longest]
    for limit, rows in ((longest, too_long), (SHORT, range(0, len(all_texts), CUT_EVERY))):
        if not FEWEST <= limit <= longest:
            continue
        cut_texts = [all_texts[row] for row in rows]
        cut = [
            tokenizer.truncated(all_texts[row], limit) if len(encodings[row]) > limit else encodings[row]
            for row in rows
        ]
        expected = oracle.encode(cut_texts, max_tokens=limit)
        _check(cut_texts, cut, expected, f" if it is cut to {limit} tokens", oracle.name, checkpoint)
    _check_padding(tokenizer, oracle, [text for text in all_texts if isinstance(text, str)], checkpoint)


def _check(
    of_texts: Sequence[Text],
    encodings: Sequence[Encoding],
    expected: Sequence[Tokens],
    way: str,
    oracle: str,
    checkpoint: Path,
) -> None:
    """CheckpointError for the first of `of_texts` whose ids or offsets differ; `way` says how it was encoded."""
    for text, encoding, tokens in zip(of_texts, encodings, expected, strict=True):
        pairs: dict[str, tuple[Sequence[object], Sequence[object]]] = {
            "ids": (encoding.ids, tokens.ids),
            "offsets": (encoding.offsets, tokens.offsets),
        }
        for kind, (ours, theirs) in pairs.items():
            if list(ours) == list(theirs):
                continue
            start = max(0, _first_difference(ours, theirs) - _SHOWN_IDS // 2)
            raise CheckpointError(
                f"the tokenizer of {checkpoint} would be published with other token {kind} than those of {oracle} for "
                f"{text!r:.300}{way}. From token {start} on:\n"
                f"  release       {_listed(ours, start)}\n"
                f"  transformers  {_listed(theirs, start)}",
                hint=_HINT,
            )


def _check_padding(tokenizer: Tokenizer, oracle: Oracle, singles: Sequence[str], checkpoint: Path) -> None:
    """CheckpointError if a batch is padded in another way."""
    # The longest would make a batch large
    by_length = sorted(singles, key=len)[: -len(singles) // 8]
    batch = by_length[:: max(1, len(by_length) // PADDED)]
    expected = oracle.padded(batch)
    ours = pad(tokenizer.encode(batch), pad_id=tokenizer.special_id("pad"), at_least=1)
    for name, array in ours.items():
        if not np.array_equal(array, expected[name]):
            differing = int(np.flatnonzero((array != expected[name]).any(axis=1))[0])
            raise CheckpointError(
                f"the tokenizer of {checkpoint} would be published with another padding than that of {oracle.name}: in "
                f"a batch, {name} of {batch[differing]!r:.300} ends with {array[differing][-1]}, and transformers' "
                f"with {expected[name][differing][-1]}",
                hint=_HINT,
            )


def _first_difference(ours: Sequence[object], theirs: Sequence[object]) -> int:
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(ours), len(theirs)))


def _listed(values: Sequence[object], start: int) -> str:
    """Some of `values` from `start` on."""
    shown = " ".join(map(str, values[start : start + _SHOWN_IDS]))
    return f"{shown} ..." if len(values) > start + _SHOWN_IDS else shown
