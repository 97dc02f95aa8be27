"""Classification of every word of a text."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from distilforge.tokenizer import Encoding

from validation.errors import DataError
from validation.statistics import metrics
from validation.statistics.chance import exchanged
from validation.statistics.classes import ClassAnswers
from validation.statistics.metrics import Array, Indices, Score
from validation.tasks.base import (
    BRIER,
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
from validation.tasks.record import Record

OUTSIDE = "O"
# The label of what a training leaves out, in transformers' data: special tokens, and the rest of a word
_IGNORED = -100
_CONTINUATION = "##"
_WORDS = "give whole words: join the wordpieces of a word, keep the label of its first, and leave out special tokens"
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

    The label of a word's first wordpiece is the word's label. Words whose first wordpiece is cut off are not scored. A
    row's targets are the indices of the words, because a word may have no wordpiece.
    """

    required = frozenset({"tokens", "labels"})
    truths = frozenset({"labels"})
    classifies = True

    def parse(self, record: Record) -> LabelledWords:
        tokens = record.texts("tokens")
        for index, token in enumerate(tokens):
            if token.split() != [token]:
                raise record.invalid(f"tokens[{index}]", token, "one word, without spaces")
        labels = self._labels(record, len(tokens)) if self.labelled else ()
        return LabelledWords(place=record.place, tokens=tokens, labels=labels)

    def _labels(self, record: Record, count: int) -> tuple[int, ...]:
        """The indices of the labels of `count` words."""
        labels = record.value("labels")
        if not isinstance(labels, list):
            raise record.invalid("labels", labels, "a list with a label for each token")
        if len(labels) != count:
            raise record.error(f"has {count} tokens and {len(labels)} labels; each token needs one label")
        if _IGNORED in labels:
            raise record.error(
                f"labels[{labels.index(_IGNORED)}] is {_IGNORED}, which is the label of a wordpiece that is not scored",
                hint=_WORDS,
            )
        return tuple(
            record.label(f"labels[{index}]", label, self.labels) for index, label in enumerate(labels)
        )

    def rows(self, example: LabelledWords, index: int, reader: TextReader) -> tuple[Row, ...]:
        if self.labelled:
            _check_words(example, reader)
        text = " ".join(example.tokens)
        encoding, truncated = encoded(text, reader)
        firsts = _first_wordpieces(example.tokens, encoding)
        if truncated:
            whole = reader.tokenizer.encode([text])[0]
            starts = {
                word: _piece(whole, position)
                for word, position in _first_wordpieces(example.tokens, whole).items()
            }
            # Where the start of the text is cut off, what is left of a word is not its first wordpiece
            firsts = {
                word: position
                for word, position in firsts.items()
                if _piece(encoding, position) == starts[word]
            }
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
        """The logits of each word, (M, labels)."""
        logits_ML: Array = outputs["logits"][list(row.scored_positions)].astype(np.float64)
        return logits_ML

    def row_scores(self, row: Row, outputs: Outputs) -> Array:
        return probabilities(outputs["logits"][list(row.scored_positions)])

    def scores(
        self, examples: Sequence[LabelledWords], answers: Answers, eager: Answers, reader: ReleaseReader
    ) -> tuple[Score, ...]:
        pairs = [
            (array.argmax(axis=-1), _actual(examples[row.example], row))
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
        return np.concatenate([array.argmax(axis=-1) for array in answers.arrays])

    def beside_other_truths(
        self, examples: Sequence[LabelledWords], answers: Answers
    ) -> tuple[Sequence[LabelledWords], Answers]:
        """Every word beside the label of another word of the data."""
        labels = np.concatenate([example.labels for example in examples]).astype(np.int64)
        ends = np.cumsum([len(example.labels) for example in examples])[:-1]
        parts = np.split(labels[exchanged(len(labels))], ends)
        pairs = zip(examples, parts, strict=True)
        return tuple(replace(example, labels=tuple(part.tolist())) for example, part in pairs), answers

    def class_answers(
        self, examples: Sequence[LabelledWords], answers: Answers, reader: ReleaseReader
    ) -> ClassAnswers:
        return self._by_class(examples, answers)

    def _by_class(self, examples: Sequence[LabelledWords], answers: Answers) -> ClassAnswers:
        return ClassAnswers.of_one_label(
            self.labels,
            np.repeat([row.example for row in answers.rows], list(map(len, answers.arrays))),
            np.concatenate([array.argmax(axis=-1) for array in answers.arrays]),
            np.concatenate([_actual(examples[row.example], row) for row in answers.rows]),
        )

    def calibration(self, examples: Sequence[LabelledWords], answers: Answers) -> Score:
        by_class = self._by_class(examples, answers)
        probabilities_UL = probabilities(np.concatenate(answers.arrays).astype(np.float32))
        scores_U = metrics.brier(probabilities_UL, by_class.actual.astype(np.float64))
        sums_N, words_N = (
            np.bincount(by_class.texts, weights=weights, minlength=len(examples)).astype(np.float64)
            for weights in (scores_U, None)
        )
        return metrics.ratio(BRIER, sums_N, words_N, higher_is_better=False)

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


def _check_words(example: LabelledWords, reader: TextReader) -> None:
    """Raise DataError for a wordpiece in the place of a word: the tokenizer would split it at its ##."""
    for index, word in enumerate(example.tokens):
        is_wordpiece = word.startswith(_CONTINUATION) and word != _CONTINUATION
        if is_wordpiece and reader.tokenizer.token_id(word) is not None:
            raise DataError(
                f"{example.place}: tokens[{index}] is {word!r:.80}, a wordpiece that continues a word",
                hint=_WORDS,
            )


def _actual(example: LabelledWords, row: Row) -> Indices:
    """The labels of the words that are scored in `row`."""
    return np.asarray([example.labels[word] for word in row.targets], dtype=np.int64)


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


def _piece(encoding: Encoding, position: int) -> tuple[int, tuple[int, int]]:
    """The id of a token, and where it stands in the text."""
    return encoding.ids[position], encoding.offsets[position]
