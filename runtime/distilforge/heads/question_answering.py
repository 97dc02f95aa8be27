"""Answer questions with a stretch of a context."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import overload

import numpy as np

from distilforge.checks.arguments import check_pair, check_positive, one_or_many
from distilforge.errors import InputError
from distilforge.heads import heads
from distilforge.logits.answer_spans import WindowCandidates, window_candidates
from distilforge.session import Session
from distilforge.streaming import LOOK_AHEAD, stream
from distilforge.tokenizer import Encoding

Question = tuple[str, str]
"""A question and the context that may answer it."""
# Tokens; transformers' default max_seq_len
_USUAL_WINDOW = 384
# The context's index in a pair (question, context)
_CONTEXT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A stretch of the context that may answer the question."""

    text: str
    """The stretch, `context[start:end]`; empty means "no answer"."""
    score: float
    """Its probability, summed over the windows and spans in which the same text was found, as in transformers.

    In overlapping windows the sum may be more than 1.
    """
    start: int
    """Index of its first character in the context."""
    end: int
    """Index after its last character in the context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The candidate answers to one question."""

    candidates: tuple[Answer, ...]
    """The candidates, best first; empty if the context has no tokens."""

    @property
    def best(self) -> Answer:
        """The first candidate; an empty answer with score 0 if there are no candidates."""
        return self.candidates[0] if self.candidates else Answer(text="", score=0.0, start=0, end=0)

    @property
    def text(self) -> str:
        """The text of the best answer; empty means "no answer"."""
        return self.best.text

    @property
    def score(self) -> float:
        """The score of the best answer."""
        return self.best.score

    @property
    def start(self) -> int:
        """Index of the best answer's first character in the context."""
        return self.best.start

    @property
    def end(self) -> int:
        """Index after the best answer's last character in the context."""
        return self.best.end


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options of one call, with our names; `__call__` documents them."""

    top_k: int
    """How many answers to return."""
    max_answer_tokens: int
    """The longest answer."""
    max_window_tokens: int
    """The longest window, the question and special tokens included."""
    overlap: int | None
    """Tokens that neighbouring windows share; None leaves it to the tokenizer."""
    allow_no_answer: bool
    """Whether "no answer" is a candidate."""
    whole_words: bool
    """Whether answers are widened to whole words."""


@heads.register("question_answering")
class QuestionAnswering(Session):
    """Finds answers in contexts of any length, as transformers' QuestionAnsweringPipeline does."""

    architecture = "DistilBertForQuestionAnswering"
    output_axes = {"start_logits": ("batch", "sequence"), "end_logits": ("batch", "sequence")}
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
        """Answer a (question, context), or each of a list of them.

        A context that is longer than one window is read in windows that overlap, so it may have any length. The
        options have transformers' names; lengths are in tokens.

        Args:
            inputs: one pair gives one result, a list gives a list of results in the same order.
            top_k: the largest number of answers to return.
            max_answer_len: the longest answer.
            max_seq_len: the longest window, the question and special tokens included. None means 384, or as much as
                the release and its tokenizer take if that is less.
            doc_stride: how many tokens of the context neighbouring windows share. None means half a window, at most
                128.
            handle_impossible_answer: let "no answer" compete, as an answer with an empty text.
            align_to_words: widen answers to whole words.

        Raises:
            InputError: an input is not a pair of texts, a question leaves no room for the context in a window, or an
                option is out of bounds.
        """
        longest = min(self.max_tokens, self._loaded.tokenizer.max_tokens)
        options = _Options(
            top_k=top_k,
            max_answer_tokens=max_answer_len,
            max_window_tokens=min(longest, _USUAL_WINDOW) if max_seq_len is None else max_seq_len,
            overlap=doc_stride,
            allow_no_answer=handle_impossible_answer,
            whole_words=align_to_words,
        )
        check_positive("top_k", top_k)
        check_positive("max_answer_len", max_answer_len)
        check_positive("max_seq_len", options.max_window_tokens)
        if options.max_window_tokens > self.max_tokens:
            raise InputError(
                f"max_seq_len is {max_seq_len}; this release takes at most {self.max_tokens} tokens",
                hint="leave it out to use the longest window that the release takes, at most 384",
            )
        if doc_stride is not None and doc_stride != 0:
            check_positive("doc_stride", doc_stride)
        return one_or_many(inputs, lambda questions: self._answer(questions, options))

    def stream(
        self,
        inputs: Iterable[Question],
        *,
        look_ahead: int = LOOK_AHEAD,
        top_k: int = 1,
        max_answer_len: int = 15,
        max_seq_len: int | None = None,
        doc_stride: int | None = None,
        handle_impossible_answer: bool = False,
        align_to_words: bool = True,
    ) -> Iterator[Answers]:
        """Answer more inputs than fit into memory, one after another, in order.

        `look_ahead` inputs at a time are taken from `inputs` and answered together; the other options are those of a
        call. InputError for an input that cannot be answered has its position, and comes after the answers before it.
        """

        def answer(values: list[Question]) -> list[Answers]:
            return self(
                values,
                top_k=top_k,
                max_answer_len=max_answer_len,
                max_seq_len=max_seq_len,
                doc_stride=doc_stride,
                handle_impossible_answer=handle_impossible_answer,
                align_to_words=align_to_words,
            )

        return stream(inputs, answer, look_ahead)

    def _answer(self, questions: list[object], options: _Options) -> list[Answers]:
        pairs = [check_pair(question, f"input {row}") for row, question in enumerate(questions)]
        windows_by_row = [
            self._loaded.tokenizer.windows(
                question, context, max_tokens=options.max_window_tokens, overlap=options.overlap
            )
            for question, context in pairs
        ]
        spans = iter(self._spans([window for windows in windows_by_row for window in windows], options))
        return [
            _merge(windows, list(islice(spans, len(windows))), context, options)
            for windows, (_, context) in zip(windows_by_row, pairs, strict=True)
        ]

    def _spans(self, windows: list[Encoding], options: _Options) -> list[WindowCandidates]:
        """The candidates of each window, in the order of `windows`."""
        # Several spans may widen to the same words, so more are needed than were asked for
        top_k = options.top_k * 2 + 10 if options.whole_words else options.top_k
        results: dict[int, WindowCandidates] = {}
        for batch in self._batches(windows):
            outputs = self.run(batch.feeds)
            for position, row in enumerate(batch.rows):
                window = windows[row]
                allowed = np.array([sequence == _CONTEXT for sequence in window.sequence_ids])
                allowed |= np.array(window.ids) == self._loaded.tokenizer.special_id("cls")
                results[row] = window_candidates(
                    outputs["start_logits"][position, : len(window)].astype(np.float32, copy=False),
                    outputs["end_logits"][position, : len(window)].astype(np.float32, copy=False),
                    allowed,
                    top_k=top_k,
                    max_answer_tokens=options.max_answer_tokens,
                )
        return [results[row] for row in range(len(windows))]


def _merge(
    windows: list[Encoding], candidates: list[WindowCandidates], context: str, options: _Options
) -> Answers:
    """Merge the answers of all windows; equal texts become one answer with the sum of scores, as in transformers."""
    answers: dict[str, Answer] = {}
    for window, one_window in zip(windows, candidates, strict=True):
        for span in one_window.spans:
            start, end = _characters(window, span.first, span.last, whole_words=options.whole_words)
            text = context[start:end]
            known = answers.get(text.lower())
            if known is None:
                answers[text.lower()] = Answer(text=text, score=span.score, start=start, end=end)
            else:
                answers[text.lower()] = replace(known, score=known.score + span.score)
    best_first = list(answers.values())
    if options.allow_no_answer:
        null_score = min(one_window.null_score for one_window in candidates)
        best_first.append(Answer(text="", score=null_score, start=0, end=0))
    best_first.sort(key=lambda answer: answer.score, reverse=True)
    return Answers(candidates=tuple(best_first[: options.top_k]))


def _characters(window: Encoding, first: int, last: int, *, whole_words: bool) -> tuple[int, int]:
    """First character and the one after the last, in the context, of the tokens `first` to `last` of a window."""
    start, end = window.offsets[first][0], window.offsets[last][1]
    first_word, last_word = window.token_to_word(first), window.token_to_word(last)
    if not whole_words or first_word is None or last_word is None:
        return start, end
    start_word = window.word_to_chars(first_word, _CONTEXT)
    end_word = window.word_to_chars(last_word, _CONTEXT)
    return (start, end) if start_word is None or end_word is None else (start_word[0], end_word[1])
