"""Filled masks: what might stand where a text has [MASK]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from distilforge.errors import InputError
from distilforge.heads import heads
from distilforge.inputs import Truncation, check_positive, check_string, check_strings, one_or_many
from distilforge.probabilities import Floats, softmax
from distilforge.session import Session
from distilforge.tokenizer import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One token for a mask: its id, its text, its probability, and the whole text with it filled in."""

    token: int
    text: str
    score: float
    sequence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledMask:
    """Candidates for one mask, most probable first; `start` and `end` are the mask's characters in the text."""

    start: int
    end: int
    fills: tuple[Fill, ...]

    @property
    def text(self) -> str:
        """The most probable candidate."""
        return self.fills[0].text

    @property
    def score(self) -> float:
        return self.fills[0].score


@heads.register("masked_lm")
class MaskedLanguageModel(Session):
    """Fills masks, as transformers' FillMaskPipeline does."""

    example_inputs = '["A text with a [MASK]."]'

    @property
    def mask(self) -> str:
        """What to write in a text where a token is to be filled in."""
        return self._loaded.tokenizer.special_token("mask")

    @overload
    def __call__(
        self, inputs: str, *, top_k: int = 5, targets: tuple[str, ...] = (), truncation: Truncation = "error"
    ) -> tuple[FilledMask, ...]: ...
    @overload
    def __call__(
        self,
        inputs: list[str],
        *,
        top_k: int = 5,
        targets: tuple[str, ...] = (),
        truncation: Truncation = "error",
    ) -> list[tuple[FilledMask, ...]]: ...
    def __call__(
        self,
        inputs: str | Sequence[str],
        *,
        top_k: int = 5,
        targets: tuple[str, ...] = (),
        truncation: Truncation = "error",
    ) -> tuple[FilledMask, ...] | list[tuple[FilledMask, ...]]:
        """The masks of a text, or of each text of a list, in the order they stand in it, each filled on its own.

        Every mask gets its `top_k` most probable tokens, of the whole vocabulary or of `targets`.
        Raises InputError for a text without a mask, for a target that is not one token and, unless `truncation` is
        "truncate", for a text that is too long.
        """
        check_positive("top_k", top_k)
        chosen = self._target_ids(targets)

        def answer(values: list[object]) -> list[tuple[FilledMask, ...]]:
            texts = check_strings(values)
            encodings = self._encodings(texts, truncation)
            masks = [self._mask_positions(encoding, row) for row, encoding in enumerate(encodings)]
            results: dict[int, tuple[FilledMask, ...]] = {}
            for batch in self._batches(encodings):
                logits = self._floats(batch.feeds, "logits")
                for position, row in enumerate(batch.rows):
                    probabilities = softmax(logits[position, masks[row]])
                    results[row] = self._fill(encodings[row], masks[row], probabilities, chosen, top_k)
            return [results[row] for row in range(len(texts))]

        return one_or_many(inputs, answer)

    def _mask_positions(self, encoding: Encoding, row: int) -> list[int]:
        mask_id = self._loaded.tokenizer.special_id("mask")
        positions = [position for position, token_id in enumerate(encoding.ids) if token_id == mask_id]
        if not positions:
            raise InputError(
                f"input {row} has no mask to fill", hint=f"write {self.mask} where a token is wanted"
            )
        return positions

    def _target_ids(self, targets: tuple[str, ...]) -> NDArray[np.int64] | None:
        if not targets:
            return None
        tokenizer = self._loaded.tokenizer
        found: dict[int, None] = {}
        for index, target in enumerate(targets):
            token_id = tokenizer.token_id(check_string(target, f"target {index}"))
            if token_id is None:
                pieces = tokenizer.encode_plain(target)
                if len(pieces) != 1:
                    raise InputError(
                        f"the target {target!r} is not one token but {len(pieces)}: {' '.join(pieces.tokens)!r}",
                        hint="choose targets that are in the model's vocabulary",
                    )
                token_id = pieces.ids[0]
            found[token_id] = None
        return np.array(list(found), dtype=np.int64)

    def _fill(
        self,
        encoding: Encoding,
        masks: list[int],
        probabilities: Floats,
        chosen: NDArray[np.int64] | None,
        top_k: int,
    ) -> tuple[FilledMask, ...]:
        tokenizer = self._loaded.tokenizer
        pad_id = tokenizer.special_id("pad")
        filled: list[FilledMask] = []
        for position, mask_probabilities in zip(masks, probabilities, strict=True):
            scores = mask_probabilities if chosen is None else mask_probabilities[chosen]
            fills: list[Fill] = []
            for best in _largest(scores, top_k):
                token_id = int(best if chosen is None else chosen[best])
                token_ids = list(encoding.ids)
                token_ids[position] = token_id
                # Among several masks the others stay visible, as in transformers.
                sequence = tokenizer.decode(
                    [other for other in token_ids if other != pad_id], skip_special_tokens=len(masks) == 1
                )
                text = tokenizer.decode([token_id], skip_special_tokens=False)
                fills.append(Fill(token=token_id, text=text, score=float(scores[best]), sequence=sequence))
            start, end = encoding.offsets[position]
            filled.append(FilledMask(start=start, end=end, fills=tuple(fills)))
        return tuple(filled)


def _largest(scores: Floats, count: int) -> NDArray[np.intp]:
    """Positions of the `count` largest, largest first; of equal ones the first."""
    candidates = np.arange(len(scores))
    if count < len(scores):
        candidates = np.sort(np.argpartition(-scores, count)[:count])
    return candidates[np.argsort(-scores[candidates], kind="stable")]
