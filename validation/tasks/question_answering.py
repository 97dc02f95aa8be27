"""Extraction of an answer from a context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import distilforge
import numpy as np
from distilforge.engine import Array as FeedArray
from distilforge.errors import InputError
from distilforge.manifest import Tensor, Variant
from distilforge.session import SessionParts

from validation.errors import DataError
from validation.statistics import metrics
from validation.statistics.chance import exchanged
from validation.statistics.classes import ClassAnswers
from validation.statistics.metrics import Array, Indices, Score
from validation.tasks.base import (
    Answers,
    Example,
    Outputs,
    ReleaseReader,
    Row,
    Task,
    TextReader,
    probabilities,
)
from validation.tasks.record import Record

WINDOW_TOKENS = 384
"""The window of the runtime's session where the caller does not give one; transformers has the same."""
ANSWERABLE = ("questions with an answer", "questions without an answer")
"""The two classes of questions, where some have no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Example):
    """A question about a context."""

    question: str
    """The question."""
    context: str
    """The context."""
    answers: tuple[str, ...]
    """The right answers; empty where the context does not answer the question, or where answers are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswering(Task[Question]):
    """F1 and exact match by SQuAD's rules (Rajpurkar et al. 2016), for the answers of the runtime's session."""

    required = frozenset({"question", "context", "answers"})
    truths = frozenset({"answers"})

    def parse(self, record: Record) -> Question:
        context = record.text("context")
        answers = record.value("answers") if self.labelled or record.has("answers") else []
        if not isinstance(answers, list):
            raise record.invalid("answers", answers, 'a list of {"text", "start"}')
        return Question(
            place=record.place,
            question=record.text("question"),
            context=context,
            answers=tuple(
                _answer_text(record, index, answer, context) for index, answer in enumerate(answers)
            ),
        )

    def rows(self, example: Question, index: int, reader: TextReader) -> tuple[Row, ...]:
        try:
            windows = reader.tokenizer.windows(
                example.question,
                example.context,
                max_tokens=min(reader.longest, WINDOW_TOKENS),
                overlap=None,
            )
        except InputError as cause:
            raise DataError(f"{example.place}: {cause.message}", hint=cause.hint) from cause
        return tuple(
            Row(example=index, encodings=(window,), part=part) for part, window in enumerate(windows)
        )

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        """The logits of starts and of ends, without padding: (2, tokens)."""
        logits = [outputs[name][: row.tokens] for name in ("start_logits", "end_logits")]
        return np.stack(logits).astype(np.float64)

    def row_scores(self, row: Row, outputs: Outputs) -> Array:
        return probabilities(self.reduce(row, outputs).astype(np.float32))

    def scores(
        self, examples: Sequence[Question], answers: Answers, eager: Answers, reader: ReleaseReader
    ) -> tuple[Score, ...]:
        from torchmetrics.functional.text import squad  # here, because importing it takes seconds

        exact, f1 = [], []
        for number, (example, answer) in enumerate(
            zip(examples, _session_answers(examples, answers, reader), strict=True)
        ):
            truths = list(example.answers) or [""]
            result = squad(
                {"prediction_text": answer.text, "id": str(number)},
                {"answers": {"text": truths, "answer_start": [0] * len(truths)}, "id": str(number)},
            )
            exact.append(float(result["exact_match"]) / 100)
            f1.append(float(result["f1"]) / 100)
        return metrics.mean("answer F1", np.asarray(f1)), metrics.mean("exact match", np.asarray(exact))

    def beside_other_truths(
        self, examples: Sequence[Question], answers: Answers
    ) -> tuple[Sequence[Question], Answers]:
        pairs = zip(examples, exchanged(len(examples)).tolist(), strict=True)
        return tuple(replace(example, answers=examples[other].answers) for example, other in pairs), answers

    def class_answers(
        self, examples: Sequence[Question], answers: Answers, reader: ReleaseReader
    ) -> ClassAnswers | None:
        """Whether each question has an answer; None where all have one."""
        if all(example.answers for example in examples):
            return None
        found = [not answer.text for answer in _session_answers(examples, answers, reader)]
        return ClassAnswers.of_one_label(
            ANSWERABLE,
            np.arange(len(examples)),
            np.asarray(found, dtype=np.int64),
            np.asarray([not example.answers for example in examples], dtype=np.int64),
        )

    def decisions(self, examples: Sequence[Question], answers: Answers, reader: ReleaseReader) -> Indices:
        """The first and last character of each answer, in the upper and lower 32 bits."""
        spans = [(answer.start, answer.end) for answer in _session_answers(examples, answers, reader)]
        return np.asarray([(start << 32) + end for start, end in spans], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _ReplayEngine:
    """An engine that returns the outputs that a model gave before."""

    logits: Mapping[bytes, Array]
    """The logits of starts and ends (2, tokens), by the bytes of the row's token ids (int64)."""
    providers: tuple[str, ...] = ()
    """No provider computes anything."""
    inputs: tuple[Tensor, ...] = ()
    """Nothing is loaded that could report its inputs."""
    outputs: tuple[Tensor, ...] = ()
    """Nothing is loaded that could report its outputs."""

    def run(self, feeds: Mapping[str, FeedArray]) -> dict[str, FeedArray]:
        lengths = feeds["attention_mask"].astype(np.int64).sum(axis=1)
        logits = np.zeros((2, *feeds["input_ids"].shape), dtype=np.float32)
        for row, length in enumerate(lengths):
            ids = feeds["input_ids"][row, :length].astype(np.int64)
            logits[:, row, :length] = self.logits[ids.tobytes()]
        return {"start_logits": logits[0], "end_logits": logits[1]}


def _session_answers(
    examples: Sequence[Question], answers: Answers, reader: ReleaseReader
) -> list[distilforge.Answer]:
    """The answers that an application gets: those of the runtime's session, which reads the outputs of `answers`."""
    outputs = {
        np.asarray(row.encodings[0].ids, dtype=np.int64).tobytes(): array
        for row, array in zip(answers.rows, answers.arrays, strict=True)
    }
    session = distilforge.QuestionAnswering(
        SessionParts(
            manifest=reader.manifest,
            variant=Variant(target="replay", precision="fp32", files=()),
            engine=_ReplayEngine(outputs),
            tokenizer=reader.tokenizer,
            vocabulary=reader.vocabulary,
        )
    )
    candidates = session(
        [(example.question, example.context) for example in examples],
        handle_impossible_answer=any(not example.answers for example in examples),
    )
    return [answer.best for answer in candidates]


def _answer_text(record: Record, index: int, answer: object, context: str) -> str:
    """The text of answer number `index`, which must stand in `context` where it says."""
    place = f"answers[{index}]"
    if not isinstance(answer, dict) or not {"text", "start"} <= set(answer):
        raise record.invalid(place, answer, 'an object {"text", "start"}')
    text, start = answer["text"], answer["start"]
    if not isinstance(text, str) or not text.strip():
        raise record.invalid(f"{place}.text", text, "text that is not blank")
    if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start < len(context):
        raise record.invalid(f"{place}.start", start, f"a whole number from 0 to {len(context) - 1}")
    if context[start : start + len(text)] != text:
        raise record.invalid(
            f"{place}.text",
            text,
            f"the context's text at character {start}, {context[start : start + len(text)]!r:.80}",
        )
    return text
