"""Entities: labelled stretches of a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

from distilforge.heads import heads
from distilforge.inputs import Truncation, check_option, check_strings, one_or_many
from distilforge.probabilities import Floats, softmax
from distilforge.session import Session
from distilforge.tokenizer import Encoding, Tokenizer

Aggregation = Literal["none", "simple", "first", "average", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A labelled stretch of a text.

    `start` and `end` count characters of the text that was passed, and `text` is what stands there; `word` is the
    same as the tokenizer spells it (lower-cased, say). `score` is a probability.
    """

    label: str
    score: float
    text: str
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    """One token of the text and its probabilities by label."""

    word: str
    scores: Floats
    start: int
    end: int
    continues: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Labelled:
    """A token or a whole word, with the one label it gets."""

    label: str
    score: np.float32
    word: str
    start: int
    end: int


@heads.register("token_classification")
class TokenClassification(Session):
    """Labels tokens, as transformers' TokenClassificationPipeline does."""

    @overload
    def __call__(
        self,
        inputs: str,
        *,
        aggregation: Aggregation = "simple",
        ignore_labels: tuple[str, ...] = ("O",),
        truncation: Truncation = "error",
    ) -> tuple[Entity, ...]: ...
    @overload
    def __call__(
        self,
        inputs: list[str],
        *,
        aggregation: Aggregation = "simple",
        ignore_labels: tuple[str, ...] = ("O",),
        truncation: Truncation = "error",
    ) -> list[tuple[Entity, ...]]: ...
    def __call__(
        self,
        inputs: str | Sequence[str],
        *,
        aggregation: Aggregation = "simple",
        ignore_labels: tuple[str, ...] = ("O",),
        truncation: Truncation = "error",
    ) -> tuple[Entity, ...] | list[tuple[Entity, ...]]:
        """The entities of a text, or of each text of a list, in the order they stand in it.

        `aggregation`: "none" gives every token its label; "simple" joins neighbouring tokens of one label, and reads
        B- and I- prefixes; "first", "average" and "max" give a whole word one label, from its first token, the
        average or the surest one, before joining words. Labels in `ignore_labels` are left out.
        Raises InputError for what is no text and, unless `truncation` is "truncate", for a text that is too long.
        """
        check_option("aggregation", aggregation, ("none", "simple", "first", "average", "max"))

        def answer(values: list[object]) -> list[tuple[Entity, ...]]:
            texts = check_strings(values)
            encodings = self._encodings(texts, truncation)
            results: dict[int, tuple[Entity, ...]] = {}
            for batch in self._batches(encodings):
                logits = self._floats(batch.feeds, "logits")
                for row, row_logits in zip(batch.rows, logits, strict=True):
                    scores = softmax(row_logits[: len(encodings[row])])
                    tokens = _tokens(texts[row], encodings[row], scores, self._loaded.tokenizer)
                    found = self._aggregate(tokens, aggregation)
                    results[row] = tuple(
                        _entity(entity, texts[row]) for entity in found if entity.label not in ignore_labels
                    )
            return [results[row] for row in range(len(texts))]

        return one_or_many(inputs, answer)

    def _aggregate(self, tokens: list[_Token], aggregation: Aggregation) -> list[_Labelled]:
        if aggregation in ("none", "simple"):
            labelled = [self._label([token], token.scores) for token in tokens]
        else:
            labelled = [self._label_word(word, aggregation) for word in _words(tokens)]
        return labelled if aggregation == "none" else self._join(labelled)

    def _label_word(self, tokens: list[_Token], aggregation: Aggregation) -> _Labelled:
        if aggregation == "first":
            scores = tokens[0].scores
        elif aggregation == "max":
            scores = max(tokens, key=lambda token: float(token.scores.max())).scores
        else:
            scores = np.nanmean(np.stack([token.scores for token in tokens]), axis=0)
        word = self._loaded.tokenizer.join([token.word for token in tokens])
        return self._label(tokens, scores, word)

    def _label(self, tokens: list[_Token], scores: Floats, word: str | None = None) -> _Labelled:
        best = int(scores.argmax())
        return _Labelled(
            label=self.labels[best],
            score=scores[best],
            word=tokens[0].word if word is None else word,
            start=tokens[0].start,
            end=tokens[-1].end,
        )

    def _join(self, labelled: list[_Labelled]) -> list[_Labelled]:
        groups: list[list[_Labelled]] = []
        for item in labelled:
            begins, kind = _prefix_and_kind(item.label)
            if groups and not begins and kind == _prefix_and_kind(groups[-1][-1].label)[1]:
                groups[-1].append(item)
            else:
                groups.append([item])
        return [
            _Labelled(
                label=group[0].label.split("-", 1)[-1],
                score=np.nanmean(np.array([item.score for item in group])),
                word=self._loaded.tokenizer.join([item.word for item in group]),
                start=group[0].start,
                end=group[-1].end,
            )
            for group in groups
        ]


def _tokens(text: str, encoding: Encoding, scores: Floats, tokenizer: Tokenizer) -> list[_Token]:
    tokens: list[_Token] = []
    for token_id, word, (start, end), special, token_scores in zip(
        encoding.ids, encoding.tokens, encoding.offsets, encoding.special_tokens_mask, scores, strict=True
    ):
        if special:
            continue
        if tokenizer.marks_continuations:
            # transformers' rule: a piece written longer than the text it covers carries the prefix.
            continues = len(word) != end - start
        else:
            continues = start > 0 and " " not in text[start - 1 : start + 1]
        if token_id == tokenizer.unknown_id:
            word, continues = text[start:end], False
        tokens.append(_Token(word=word, scores=token_scores, start=start, end=end, continues=continues))
    return tokens


def _words(tokens: list[_Token]) -> list[list[_Token]]:
    words: list[list[_Token]] = []
    for token in tokens:
        if words and token.continues:
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _prefix_and_kind(label: str) -> tuple[bool, str]:
    """Whether a label begins an entity, and the label without its B- or I- prefix."""
    if label.startswith(("B-", "I-")):
        return label[0] == "B", label[2:]
    return False, label


def _entity(found: _Labelled, text: str) -> Entity:
    return Entity(
        label=found.label,
        score=float(found.score),
        text=text[found.start : found.end],
        word=found.word,
        start=found.start,
        end=found.end,
    )
