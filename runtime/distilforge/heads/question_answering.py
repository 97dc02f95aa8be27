"""Answers: the stretch of a context that answers a question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import overload

import numpy as np

from distilforge.answer_spans import Candidates, candidates
from distilforge.errors import InputError
from distilforge.heads import heads
from distilforge.inputs import check_pair, check_positive, one_or_many
from distilforge.session import Session
from distilforge.tokenizer import Encoding

Question = tuple[str, str]
_USUAL_WINDOW = 384
_CONTEXT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A stretch of the context; `start` and `end` count its characters, and an empty one means "no answer"."""

    text: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Candidates for one question, best first; none where the context holds no tokens."""

    candidates: tuple[Answer, ...]

    @property
    def best(self) -> Answer:
        """The first candidate; where there is none, the empty answer with score 0."""
        return self.candidates[0] if self.candidates else Answer(text="", score=0.0, start=0, end=0)

    @property
    def text(self) -> str:
        return self.best.text

    @property
    def score(self) -> float:
        return self.best.score

    @property
    def start(self) -> int:
        return self.best.start

    @property
    def end(self) -> int:
        return self.best.end


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    top_k: int
    max_answer_tokens: int
    max_window_tokens: int
    overlap: int | None
    impossible: bool
    whole_words: bool


@heads.register("question_answering")
class QuestionAnswering(Session):
    """Finds answers in contexts of any length, as transformers' QuestionAnsweringPipeline does."""

    example_inputs = '[("A question?", "The text that holds the answer.")]'

    @overload
    def __call__(
        self,
        inputs: Question,
        *,
        top_k: int = 1,
        max_answer_len: int = 15,
        max_seq_len: int | None = None,
        doc_stride: int | None = None,
        handle_impossible_answer: bool = False,
        align_to_words: bool = True,
    ) -> Answers: ...
    @overload
    def __call__(
        self,
        inputs: list[Question],
        *,
        top_k: int = 1,
        max_answer_len: int = 15,
        max_seq_len: int | None = None,
        doc_stride: int | None = None,
        handle_impossible_answer: bool = False,
        align_to_words: bool = True,
    ) -> list[Answers]: ...
    def __call__(
        self,
        inputs: Question | Sequence[Question],
        *,
        top_k: int = 1,
        max_answer_len: int = 15,
        max_seq_len: int | None = None,
        doc_stride: int | None = None,
        handle_impossible_answer: bool = False,
        align_to_words: bool = True,
    ) -> Answers | list[Answers]:
        """Up to `top_k` answers to a (question, context) pair, or to each of a list of them.

        Lengths are in tokens. A context that does not fit a window of `max_seq_len` (384, or what the release takes)
        is read in windows that overlap by `doc_stride`. `handle_impossible_answer` lets "no answer" compete, as an
        empty text; `align_to_words` widens answers to whole words.
        Raises InputError for what is no pair of texts and for a question that leaves a window no room.
        """
        longest = min(self.max_tokens, self._loaded.tokenizer.max_tokens)
        options = _Options(
            top_k=top_k,
            max_answer_tokens=max_answer_len,
            max_window_tokens=min(longest, _USUAL_WINDOW) if max_seq_len is None else max_seq_len,
            overlap=doc_stride,
            impossible=handle_impossible_answer,
            whole_words=align_to_words,
        )
        check_positive("top_k", top_k)
        check_positive("max_answer_len", max_answer_len)
        check_positive("max_seq_len", options.max_window_tokens)
        if options.max_window_tokens > self.max_tokens:
            raise InputError(
                f"max_seq_len is {max_seq_len}; this release takes at most {self.max_tokens} tokens"
            )
        if doc_stride is not None and doc_stride != 0:
            check_positive("doc_stride", doc_stride)
        return one_or_many(inputs, lambda questions: self._answer(questions, options))

    def _answer(self, questions: list[object], options: _Options) -> list[Answers]:
        pairs = [check_pair(question, f"input {row}") for row, question in enumerate(questions)]
        owned = [
            self._loaded.tokenizer.windows(
                question, context, max_tokens=options.max_window_tokens, overlap=options.overlap
            )
            for question, context in pairs
        ]
        spans = iter(self._spans([window for windows in owned for window in windows], options))
        return [
            _merge(windows, list(islice(spans, len(windows))), context, options)
            for windows, (_, context) in zip(owned, pairs, strict=True)
        ]

    def _spans(self, windows: list[Encoding], options: _Options) -> list[Candidates]:
        # Several spans may widen to the same words, hence more candidates than were asked for.
        top_k = options.top_k * 2 + 10 if options.whole_words else options.top_k
        found: dict[int, Candidates] = {}
        for batch in self._batches(windows):
            outputs = self.run(batch.feeds)
            for position, row in enumerate(batch.rows):
                window = windows[row]
                allowed = np.array([sequence == _CONTEXT for sequence in window.sequence_ids])
                allowed |= np.array(window.ids) == self._loaded.tokenizer.special_id("cls")
                found[row] = candidates(
                    outputs["start_logits"][position, : len(window)].astype(np.float32, copy=False),
                    outputs["end_logits"][position, : len(window)].astype(np.float32, copy=False),
                    allowed,
                    top_k=top_k,
                    max_answer_tokens=options.max_answer_tokens,
                )
        return [found[row] for row in range(len(windows))]


def _merge(windows: list[Encoding], spans: list[Candidates], context: str, options: _Options) -> Answers:
    """Answers over all windows; equal texts are one answer, whose score is the sum, as transformers counts it."""
    answers: dict[str, Answer] = {}
    for window, window_candidates in zip(windows, spans, strict=True):
        for span in window_candidates.spans:
            start, end = _characters(window, span.first, span.last, whole_words=options.whole_words)
            text = context[start:end]
            known = answers.get(text.lower())
            if known is None:
                answers[text.lower()] = Answer(text=text, score=span.score, start=start, end=end)
            else:
                answers[text.lower()] = replace(known, score=known.score + span.score)
    found = list(answers.values())
    if options.impossible:
        null_score = min(window_candidates.null_score for window_candidates in spans)
        found.append(Answer(text="", score=null_score, start=0, end=0))
    found.sort(key=lambda answer: answer.score, reverse=True)
    return Answers(candidates=tuple(found[: options.top_k]))


def _characters(window: Encoding, first: int, last: int, *, whole_words: bool) -> tuple[int, int]:
    start, end = window.offsets[first][0], window.offsets[last][1]
    first_word, last_word = window.token_to_word(first), window.token_to_word(last)
    if not whole_words or first_word is None or last_word is None:
        return start, end
    start_word = window.word_to_chars(first_word, _CONTEXT)
    end_word = window.word_to_chars(last_word, _CONTEXT)
    return (start, end) if start_word is None or end_word is None else (start_word[0], end_word[1])
