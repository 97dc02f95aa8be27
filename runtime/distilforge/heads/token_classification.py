"""Find entities: stretches of a text with a label."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

from distilforge.checks.arguments import Truncation, check_option, check_strings, one_or_many
from distilforge.heads import heads
from distilforge.logits.probabilities import Floats, softmax
from distilforge.session import Session
from distilforge.streaming import LOOK_AHEAD, stream
from distilforge.tokenizer import Encoding, Tokenizer

Aggregation = Literal["none", "simple", "first", "average", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A stretch of a text with a label."""

    label: str
    """The label; without its B- or I- prefix if tokens were joined."""
    score: float
    """Its probability, from 0 to 1; the mean over the tokens or words that were joined."""
    text: str
    """The stretch as it stands in the text that was passed, `text[start:end]`."""
    word: str
    """The stretch as the tokenizer spells it, for example in lower case."""
    start: int
    """Index of its first character in the text."""
    end: int
    """Index after its last character in the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    """One token of the text."""

    word: str
    """The token as the tokenizer spells it."""
    scores: Floats
    """Its probability for each label, (labels,)."""
    start: int
    """Index of its first character in the text."""
    end: int
    """Index after its last character in the text."""
    continues: bool
    """Whether it continues the word of the token before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _LabelSpan:
    """A token, a word or several words, with one label; the fields are those of Entity."""

    label: str
    score: np.float32
    word: str
    start: int
    end: int


@heads.register("token_classification")
class TokenClassification(Session):
    """Labels tokens, as transformers' TokenClassificationPipeline does."""

    architecture = "DistilBertForTokenClassification"
    output_axes = {"logits": ("batch", "sequence", "labels")}

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
        """Find the entities of a text, or of each of a list of texts.

        Args:
            inputs: one text gives a tuple of entities in the order of the text; a list gives a list of such tuples.
            aggregation: how tokens become entities. "none" makes each token an entity. "simple" joins neighbouring
                tokens of the same label, and reads B- and I- prefixes. "first", "average" and "max" first give each
                whole word one label, then join words; the label comes from the word's first token, from the average
                over its tokens, or from its token with the highest probability.
            ignore_labels: labels to leave out.
            truncation: "error" refuses a text that is too long, "truncate" shortens it.

        Raises:
            InputError: an input is not text or is too long, or an option is unknown.
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
                    results[row] = tuple(
                        _entity(span, texts[row])
                        for span in self._aggregate(tokens, aggregation)
                        if span.label not in ignore_labels
                    )
            return [results[row] for row in range(len(texts))]

        return one_or_many(inputs, answer)

    def stream(
        self,
        inputs: Iterable[str],
        *,
        look_ahead: int = LOOK_AHEAD,
        aggregation: Aggregation = "simple",
        ignore_labels: tuple[str, ...] = ("O",),
        truncation: Truncation = "error",
    ) -> Iterator[tuple[Entity, ...]]:
        """Answer more inputs than fit into memory, one after another, in order.

        `look_ahead` inputs at a time are taken from `inputs` and answered together; the other options are those of a
        call. InputError for an input that cannot be answered has its position, and comes after the answers before it.
        """

        def answer(values: list[str]) -> list[tuple[Entity, ...]]:
            return self(values, aggregation=aggregation, ignore_labels=ignore_labels, truncation=truncation)

        return stream(inputs, answer, look_ahead)

    def _aggregate(self, tokens: list[_Token], aggregation: Aggregation) -> list[_LabelSpan]:
        if aggregation in ("none", "simple"):
            spans = [self._label([token], token.scores) for token in tokens]
        else:
            spans = [self._label_word(word, aggregation) for word in _words(tokens)]
        return spans if aggregation == "none" else self._join(spans)

    def _label_word(self, tokens: list[_Token], aggregation: Aggregation) -> _LabelSpan:
        if aggregation == "first":
            scores = tokens[0].scores
        elif aggregation == "max":
            scores = max(tokens, key=lambda token: float(token.scores.max())).scores
        else:
            scores = np.nanmean(np.stack([token.scores for token in tokens]), axis=0)
        word = self._loaded.tokenizer.join([token.word for token in tokens])
        return self._label(tokens, scores, word)

    def _label(self, tokens: list[_Token], scores: Floats, word: str | None = None) -> _LabelSpan:
        best = int(scores.argmax())
        return _LabelSpan(
            label=self.labels[best],
            score=scores[best],
            word=tokens[0].word if word is None else word,
            start=tokens[0].start,
            end=tokens[-1].end,
        )

    def _join(self, spans: list[_LabelSpan]) -> list[_LabelSpan]:
        """Join neighbouring spans of the same entity."""
        groups: list[list[_LabelSpan]] = []
        for span in spans:
            begins, kind = _prefix_and_kind(span.label)
            if groups and not begins and kind == _prefix_and_kind(groups[-1][-1].label)[1]:
                groups[-1].append(span)
            else:
                groups.append([span])
        return [
            _LabelSpan(
                label=group[0].label.split("-", 1)[-1],
                score=np.nanmean(np.array([span.score for span in group])),
                word=self._loaded.tokenizer.join([span.word for span in group]),
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
            # transformers' rule: a token that is longer than the text it covers has the prefix
            continues = len(word) != end - start
        else:
            continues = start > 0 and " " not in text[start - 1 : start + 1]
        if token_id == tokenizer.unknown_id:
            word, continues = text[start:end], False
        tokens.append(_Token(word=word, scores=token_scores, start=start, end=end, continues=continues))
    return tokens


def _words(tokens: list[_Token]) -> list[list[_Token]]:
    """Group the tokens by word."""
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


def _entity(span: _LabelSpan, text: str) -> Entity:
    return Entity(
        label=span.label,
        score=float(span.score),
        text=text[span.start : span.end],
        word=span.word,
        start=span.start,
        end=span.end,
    )
