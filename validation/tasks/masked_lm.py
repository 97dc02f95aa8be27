"""Prediction of masked words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from distilforge.tokenizer import Encoding, Tokenizer

from validation.errors import DataError
from validation.statistics import metrics
from validation.statistics.chance import exchanged
from validation.statistics.metrics import Array, Indices, Score
from validation.tasks.base import (
    Answers,
    Example,
    Outputs,
    ReleaseReader,
    Row,
    Task,
    TextReader,
    encoded,
    probabilities,
)
from validation.tasks.record import SCHEMAS, Record

MASK = "[MASK]"
COMPARED_EVERY = 8
"""Besides the masks, one token in so many is compared with eager PyTorch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedText(Example):
    """A text in which words are masked."""

    text: str
    """The text, with [MASK] for each masked word."""
    targets: tuple[str, ...]
    """The masked wordpieces, in order; empty where they are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedLM(Task[MaskedText]):
    """Top-1 accuracy and pseudo-perplexity over the masked wordpieces of the data.

    Pseudo-perplexity (Salazar et al. 2020) is computed over these masks, and not over every token in turn. A row's
    targets are the token ids of the masked wordpieces.
    """

    required = frozenset({"text", "targets"})
    truths = frozenset({"targets"})

    def parse(self, record: Record) -> MaskedText:
        text = record.text("text")
        if not self.labelled:
            return MaskedText(place=record.place, text=text, targets=())
        targets = record.texts("targets")
        if text.count(MASK) != len(targets):
            raise record.error(
                f"has {text.count(MASK)} {MASK} and {len(targets)} targets; each {MASK} needs one target"
            )
        return MaskedText(place=record.place, text=text, targets=targets)

    def rows(self, example: MaskedText, index: int, reader: TextReader) -> tuple[Row, ...]:
        tokenizer = reader.tokenizer
        mask = tokenizer.special_id("mask")
        text = example.text.replace(MASK, tokenizer.special_token("mask"))
        encoding, truncated = encoded(text, reader)
        masks = tuple(position for position, token in enumerate(encoding.ids) if token == mask)
        targets: list[int] = []
        if self.labelled:
            words = _words(example, tokenizer.encode([text])[0] if truncated else encoding, mask)
            targets = [_target(words[encoding.offsets[position]], example, tokenizer) for position in masks]
        return (
            Row(
                example=index,
                encodings=(encoding,),
                scored_positions=masks,
                targets=tuple(targets),
                truncated=truncated,
            ),
        )

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        """The best token id of each mask, and the negative log-likelihood of its target: (2, M)."""
        logits_MV = outputs["logits"][list(row.scored_positions)].astype(np.float64)
        top_M = logits_MV.argmax(axis=-1)
        if not row.targets:
            return np.stack([top_M, np.zeros(len(top_M))])
        highest_M = logits_MV.max(axis=-1)
        log_sums_M = highest_M + np.log(np.exp(logits_MV - highest_M[:, None]).sum(axis=-1))
        return np.stack([top_M, log_sums_M - logits_MV[np.arange(len(top_M)), list(row.targets)]])

    def row_scores(self, row: Row, outputs: Outputs) -> Array:
        return probabilities(outputs["logits"][list(row.scored_positions)])

    def compared_positions(self, row: Row) -> tuple[int, ...]:
        """The masks and every eighth token: over a vocabulary, all tokens would cost more than the model itself."""
        return tuple(sorted({*row.scored_positions, *range(0, row.tokens, COMPARED_EVERY)}))

    def scores(
        self, examples: Sequence[MaskedText], answers: Answers, eager: Answers, reader: ReleaseReader
    ) -> tuple[Score, ...]:
        pairs = tuple(zip(answers.rows, answers.arrays, strict=True))
        correct_N = np.asarray([(array[0] == row.targets).sum() for row, array in pairs], dtype=np.float64)
        negative_log_likelihoods_N = np.asarray([array[1].sum() for _, array in pairs])
        masks_N = np.asarray([len(row.targets) for row, _ in pairs], dtype=np.float64)
        return (
            metrics.ratio("masked top-1 accuracy", correct_N, masks_N),
            metrics.perplexity("pseudo-perplexity", negative_log_likelihoods_N, masks_N),
        )

    def beside_other_truths(
        self, examples: Sequence[MaskedText], answers: Answers
    ) -> tuple[Sequence[MaskedText], Answers]:
        """Every mask beside the word of another mask."""
        targets = np.asarray([target for row in answers.rows for target in row.targets], dtype=np.int64)
        ends = np.cumsum([len(row.targets) for row in answers.rows])[:-1]
        parts = np.split(targets[exchanged(len(targets))], ends)
        pairs = zip(answers.rows, parts, strict=True)
        rows = tuple(replace(row, targets=tuple(part.tolist())) for row, part in pairs)
        return examples, replace(answers, rows=rows)

    def decisions(self, examples: Sequence[MaskedText], answers: Answers, reader: ReleaseReader) -> Indices:
        return np.concatenate([array[0] for array in answers.arrays]).astype(np.int64)


def _words(example: MaskedText, whole: Encoding, mask: int) -> dict[tuple[int, int], str]:
    """The word of each mask, by where the mask stands in the `whole` text, of which either end may be cut off."""
    places = [place for place, token in zip(whole.offsets, whole.ids, strict=True) if token == mask]
    if len(places) != len(example.targets):
        raise DataError(
            f"{example.place}: the text has {len(places)} mask tokens after tokenization and "
            f"{len(example.targets)} targets",
            hint=SCHEMAS,
        )
    return dict(zip(places, example.targets, strict=True))


def _target(target: str, example: MaskedText, tokenizer: Tokenizer) -> int:
    """The token id of `target`: a wordpiece, or a word that the tokenizer reads as one, such as with a capital."""
    token = tokenizer.token_id(target)
    if token is not None:
        return token
    read = tokenizer.encode_plain(target)
    if len(read) == 1 and read.ids[0] != tokenizer.unknown_id:
        return read.ids[0]
    raise DataError(
        f"{example.place}: field 'targets' has {target!r}, which is not one wordpiece of the model's vocabulary",
        hint=f"the tokenizer splits it into {', '.join(read.tokens)}; mask words that are one wordpiece",
    )
