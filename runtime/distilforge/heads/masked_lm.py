"""Fill masks: the tokens that are most probable where a text has [MASK]."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from distilforge.checks.arguments import Truncation, check_positive, check_string, check_strings, one_or_many
from distilforge.errors import InputError
from distilforge.heads import heads
from distilforge.logits.probabilities import Floats, softmax
from distilforge.session import Session
from distilforge.streaming import LOOK_AHEAD, stream
from distilforge.tokenizer import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One candidate token for a mask."""

    token: int
    """The token's id."""
    text: str
    """The token as text."""
    score: float
    """Its probability, from 0 to 1, over the whole vocabulary."""
    sequence: str
    """The whole text with the token filled in; other masks in it stay masks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledMask:
    """The candidates for one mask."""

    start: int
    """Index of the mask's first character in the text."""
    end: int
    """Index after the mask's last character: `text[start:end]` is the mask."""
    fills: tuple[Fill, ...]
    """The candidates, most probable first; there is at least one."""

    @property
    def text(self) -> str:
        """The most probable token as text."""
        return self.fills[0].text

    @property
    def score(self) -> float:
        """The probability of the most probable token, from 0 to 1."""
        return self.fills[0].score


@heads.register("masked_lm")
class MaskedLanguageModel(Session):
    """Fills masks, as transformers' FillMaskPipeline does."""

    architecture = "DistilBertForMaskedLM"
    output_axes = {"logits": ("batch", "sequence", "vocabulary")}
    example_inputs = '["A text with a [MASK]."]'

    @property
    def mask(self) -> str:
        """The mask token, such as "[MASK]", to write in a text where a token is to be filled in."""
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
        """Fill the masks of a text, or of each of a list of texts.

        Args:
            inputs: one text gives a tuple with a result for each of its masks, in the order of the text; a list
                gives a list of such tuples. Each mask is filled alone, while the others stay masks.
            top_k: how many candidates each mask gets.
            targets: consider only these tokens; () considers the whole vocabulary.
            truncation: "error" refuses a text that is too long, "truncate" shortens it.

        Raises:
            InputError: an input is not text, is too long or has no mask, or a target is not exactly one token.
        """
        check_positive("top_k", top_k)
        allowed = self._target_ids(targets)

        def answer(values: list[object]) -> list[tuple[FilledMask, ...]]:
            texts = check_strings(values)
            encodings = self._encodings(texts, truncation)
            masks = [self._mask_positions(encoding, row) for row, encoding in enumerate(encodings)]
            results: dict[int, tuple[FilledMask, ...]] = {}
            for batch in self._batches(encodings):
                logits = self._floats(batch.feeds, "logits")
                for position, row in enumerate(batch.rows):
                    probabilities = softmax(logits[position, masks[row]])
                    results[row] = self._fill(encodings[row], masks[row], probabilities, allowed, top_k)
            return [results[row] for row in range(len(texts))]

        return one_or_many(inputs, answer)

    def stream(
        self,
        inputs: Iterable[str],
        *,
        look_ahead: int = LOOK_AHEAD,
        top_k: int = 5,
        targets: tuple[str, ...] = (),
        truncation: Truncation = "error",
    ) -> Iterator[tuple[FilledMask, ...]]:
        """Answer more inputs than fit into memory, one after another, in order.

        `look_ahead` inputs at a time are taken from `inputs` and answered together; the other options are those of a
        call. InputError for an input that cannot be answered has its position, and comes after the answers before it.
        """

        def answer(values: list[str]) -> list[tuple[FilledMask, ...]]:
            return self(values, top_k=top_k, targets=targets, truncation=truncation)

        return stream(inputs, answer, look_ahead)

    def _mask_positions(self, encoding: Encoding, row: int) -> list[int]:
        mask_id = self._loaded.tokenizer.special_id("mask")
        positions = [position for position, token_id in enumerate(encoding.ids) if token_id == mask_id]
        if not positions:
            raise InputError(
                f"input {row} has no mask to fill", hint=f"write {self.mask} where a token is wanted"
            )
        return positions

    def _target_ids(self, targets: tuple[str, ...]) -> NDArray[np.int64] | None:
        """The token id of each target; None stands for the whole vocabulary."""
        if not targets:
            return None
        tokenizer = self._loaded.tokenizer
        # A dict, to keep the order and drop duplicates
        token_ids: dict[int, None] = {}
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
            token_ids[token_id] = None
        return np.array(list(token_ids), dtype=np.int64)

    def _fill(
        self,
        encoding: Encoding,
        masks: list[int],
        probabilities: Floats,
        allowed: NDArray[np.int64] | None,
        top_k: int,
    ) -> tuple[FilledMask, ...]:
        """Fill the masks at the token positions `masks`; `probabilities` has shape (masks, vocabulary)."""
        tokenizer = self._loaded.tokenizer
        pad_id = tokenizer.special_id("pad")
        results: list[FilledMask] = []
        for position, mask_probabilities in zip(masks, probabilities, strict=True):
            scores = mask_probabilities if allowed is None else mask_probabilities[allowed]
            fills: list[Fill] = []
            for best in _largest(scores, top_k):
                token_id = int(best if allowed is None else allowed[best])
                token_ids = list(encoding.ids)
                token_ids[position] = token_id
                # If there are several masks, the others stay visible, as in transformers
                sequence = tokenizer.decode(
                    [other for other in token_ids if other != pad_id], skip_special_tokens=len(masks) == 1
                )
                text = tokenizer.decode([token_id], skip_special_tokens=False)
                fills.append(Fill(token=token_id, text=text, score=float(scores[best]), sequence=sequence))
            start, end = encoding.offsets[position]
            results.append(FilledMask(start=start, end=end, fills=tuple(fills)))
        return tuple(results)


def _largest(scores: Floats, count: int) -> NDArray[np.intp]:
    """Indices of the `count` largest scores, largest first; of equal scores the lower index goes first."""
    candidates = np.arange(len(scores))
    if count < len(scores):
        candidates = np.sort(np.argpartition(-scores, count)[:count])
    return candidates[np.argsort(-scores[candidates], kind="stable")]
