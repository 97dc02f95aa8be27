"""Classification of every word of a text."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from distilforge.tokenizer import Encoding

from validation import metrics
from validation.metrics import Array, Indices, Score
from validation.record import Record
from validation.tasks.base import Answers, Example, Outputs, Row, Served, Task, encoded, probabilities

OUTSIDE = "O"
_PREFIXES = ("B-", "I-", "E-", "S-", "L-", "U-")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledWords(Example):
    """Words and the index of each one's label; none where the labels are another model's."""

    tokens: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClassification(Task[LabelledWords]):
    """Entity F1 by seqeval where labels are written B-X and I-X, else F1 over words whose label is not O.

    The label at a word's first wordpiece is the word's. Words beyond the longest input are not scored.
    """

    required = frozenset({"tokens", "labels"})
    classifies = True

    def parse(self, record: Record) -> LabelledWords:
        tokens = record.texts("tokens")
        for index, token in enumerate(tokens):
            if token.split() != [token]:
                raise record.misfit(f"tokens[{index}]", token, "one word, without spaces")
        labels = record.texts("labels")
        if len(labels) != len(tokens):
            raise record.error(
                f"has {len(tokens)} tokens and {len(labels)} labels; each token needs one label"
            )
        known = tuple(record.label("labels", label, self.labels) for label in labels) if self.labelled else ()
        return LabelledWords(place=record.place, tokens=tokens, labels=known)

    def rows(self, example: LabelledWords, index: int, served: Served) -> tuple[Row, ...]:
        encoding, shortened = encoded(" ".join(example.tokens), served)
        firsts = _first_wordpieces(example.tokens, encoding)
        # Which word a mark belongs to travels in `targets`: a word may have no wordpiece of its own.
        return (
            Row(
                example=index,
                encodings=(encoding,),
                marks=tuple(firsts.values()),
                targets=tuple(firsts),
                shortened=shortened,
            ),
        )

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        best_M: Array = outputs["logits"][list(row.marks)].argmax(axis=-1).astype(np.float64)
        return best_M

    def told(self, row: Row, outputs: Outputs) -> Array:
        return probabilities(outputs["logits"][list(row.marks)])

    def scores(
        self, examples: Sequence[LabelledWords], answers: Answers, eager: Answers, served: Served
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
        named = [label for label in self.labels if label != OUTSIDE]
        if named and all(label.startswith(_PREFIXES) for label in named):
            f1 = metrics.micro_f1("entity F1", *_counted([self._entities(*pair) for pair in pairs]))
        else:
            f1 = metrics.micro_f1("token F1", *_counted([self._words(*pair) for pair in pairs]))
        return f1, metrics.ratio("token accuracy", correct_N, words_N)

    def decisions(self, examples: Sequence[LabelledWords], answers: Answers, served: Served) -> Indices:
        return np.concatenate([array.astype(np.int64) for array in answers.arrays])

    def _entities(self, predicted: Indices, actual: Indices) -> tuple[int, int, int]:
        from seqeval.metrics.sequence_labeling import get_entities  # here, because scikit-learn comes with it

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # seqeval warns of labels such as "O" beside others than B and I
            found, true = (
                set(get_entities([self.labels[index] for index in indices]))
                for indices in (predicted, actual)
            )
        return len(found & true), len(found), len(true)

    def _words(self, predicted: Indices, actual: Indices) -> tuple[int, int, int]:
        outside = self.labels.index(OUTSIDE) if OUTSIDE in self.labels else -1
        named, true = predicted != outside, actual != outside
        return int(((predicted == actual) & true).sum()), int(named.sum()), int(true.sum())


def _counted(counts: list[tuple[int, int, int]]) -> tuple[Array, Array, Array]:
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
