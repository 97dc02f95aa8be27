"""Classification of every word of a text."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from distilforge.tokenizer import Encoding

from validation import metrics
from validation.metrics import Array, Indices, Score
from validation.record import Record
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

OUTSIDE = "O"
_ENTITY_PREFIXES = ("B-", "I-", "E-", "S-", "L-", "U-")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledWords(Example):
    """The words of a text, with a label each."""

    tokens: tuple[str, ...]
    """The words."""
    labels: tuple[int, ...]
    """The index of each word's label; empty where labels are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClassification(Task[LabelledWords]):
    """Entity F1 by seqeval for labels such as B-X and I-X, else F1 over the words whose label is not O.

    The label of a word's first wordpiece is the word's label. Words beyond the longest input are not scored. A row's
    targets are the indices of the words, because a word may have no wordpiece.
    """

    required = frozenset({"tokens", "labels"})
    classifies = True

    def parse(self, record: Record) -> LabelledWords:
        tokens = record.texts("tokens")
        for index, token in enumerate(tokens):
            if token.split() != [token]:
                raise record.invalid(f"tokens[{index}]", token, "one word, without spaces")
        labels = record.texts("labels")
        if len(labels) != len(tokens):
            raise record.error(
                f"has {len(tokens)} tokens and {len(labels)} labels; each token needs one label"
            )
        known = tuple(record.label("labels", label, self.labels) for label in labels) if self.labelled else ()
        return LabelledWords(place=record.place, tokens=tokens, labels=known)

    def rows(self, example: LabelledWords, index: int, reader: TextReader) -> tuple[Row, ...]:
        encoding, truncated = encoded(" ".join(example.tokens), reader)
        firsts = _first_wordpieces(example.tokens, encoding)
        return (
            Row(
                example=index,
                encodings=(encoding,),
                scored_positions=tuple(firsts.values()),
                targets=tuple(firsts),
                truncated=truncated,
            ),
        )

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        best_M: Array = outputs["logits"][list(row.scored_positions)].argmax(axis=-1).astype(np.float64)
        return best_M

    def row_scores(self, row: Row, outputs: Outputs) -> Array:
        return probabilities(outputs["logits"][list(row.scored_positions)])

    def scores(
        self, examples: Sequence[LabelledWords], answers: Answers, eager: Answers, reader: ReleaseReader
    ) -> tuple[Score, ...]:
        pairs = [
            (
                array.astype(np.int64),
                np.asarray([examples[row.example].labels[word] for word in row.targets], np.int64),
            )
            for row, array in zip(answers.rows, answers.arrays, strict=True)
        ]
        correct_N = np.asarray([(predicted == actual).sum() for predicted, actual in pairs], dtype=np.float64)
        words_N = np.asarray([len(actual) for _, actual in pairs], dtype=np.float64)
        inside = [label for label in self.labels if label != OUTSIDE]
        if inside and all(label.startswith(_ENTITY_PREFIXES) for label in inside):
            f1 = metrics.micro_f1("entity F1", *_columns([self._entities(*pair) for pair in pairs]))
        else:
            f1 = metrics.micro_f1("token F1", *_columns([self._words(*pair) for pair in pairs]))
        return f1, metrics.ratio("token accuracy", correct_N, words_N)

    def decisions(
        self, examples: Sequence[LabelledWords], answers: Answers, reader: ReleaseReader
    ) -> Indices:
        return np.concatenate([array.astype(np.int64) for array in answers.arrays])

    def _entities(self, predicted: Indices, actual: Indices) -> tuple[int, int, int]:
        """How many entities are correct, predicted and actual."""
        from seqeval.metrics.sequence_labeling import get_entities  # here, because it imports scikit-learn

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # seqeval warns of labels such as "O" beside others than B and I
            predicted_entities, actual_entities = (
                set(get_entities([self.labels[index] for index in indices]))
                for indices in (predicted, actual)
            )
        return len(predicted_entities & actual_entities), len(predicted_entities), len(actual_entities)

    def _words(self, predicted: Indices, actual: Indices) -> tuple[int, int, int]:
        """How many words with a label other than O are correct, predicted and actual."""
        outside = self.labels.index(OUTSIDE) if OUTSIDE in self.labels else -1
        predicted_inside, actual_inside = predicted != outside, actual != outside
        correct = (predicted == actual) & actual_inside
        return int(correct.sum()), int(predicted_inside.sum()), int(actual_inside.sum())


def _columns(counts: list[tuple[int, int, int]]) -> tuple[Array, Array, Array]:
    correct, predicted, actual = np.asarray(counts, dtype=np.float64).T
    return correct, predicted, actual


def _first_wordpieces(words: tuple[str, ...], encoding: Encoding) -> dict[int, int]:
    """The position of each word's first wordpiece, by the word's index, for words joined by single spaces."""
    starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])
    firsts: dict[int, int] = {}
    for position, (begin, end) in enumerate(encoding.offsets):
        if end > begin and not encoding.special_tokens_mask[position]:
            firsts.setdefault(int(np.searchsorted(starts, begin, side="right")) - 1, position)
    return firsts
