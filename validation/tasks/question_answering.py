"""Extraction of an answer from a context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import distilforge
import numpy as np
from distilforge.errors import InputError
from distilforge.feeds import Array as Fed
from distilforge.session import Loaded

from validation import metrics
from validation.errors import DataError
from validation.metrics import Array, Indices, Score
from validation.record import Record
from validation.tasks.base import Answers, Example, Outputs, Row, Served, Task, probabilities

# What the runtime's session takes where the caller names no window, after transformers.
WINDOW = 384


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Example):
    """A question, a context, and the texts that answer it; none where the context holds no answer."""

    question: str
    context: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswering(Task[Question]):
    """F1 and exact match by SQuAD's rules (Rajpurkar et al. 2016), of the answers that the runtime's session gives."""

    required = frozenset({"question", "context", "answers"})

    def parse(self, record: Record) -> Question:
        context = record.text("context")
        answers = record.value("answers")
        if not isinstance(answers, list):
            raise record.misfit("answers", answers, 'a list of {"text", "start"}')
        return Question(
            place=record.place,
            question=record.text("question"),
            context=context,
            answers=tuple(_answer(record, index, answer, context) for index, answer in enumerate(answers)),
        )

    def rows(self, example: Question, index: int, served: Served) -> tuple[Row, ...]:
        try:
            windows = served.tokenizer.windows(
                example.question, example.context, max_tokens=min(served.longest, WINDOW), overlap=None
            )
        except InputError as cause:
            raise DataError(f"{example.place}: {cause.message}", hint=cause.hint) from cause
        return tuple(
            Row(example=index, encodings=(window,), part=part) for part, window in enumerate(windows)
        )

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        both = [outputs[name][: row.tokens] for name in ("start_logits", "end_logits")]
        return np.stack(both).astype(np.float64)

    def told(self, row: Row, outputs: Outputs) -> Array:
        return probabilities(self.reduce(row, outputs).astype(np.float32))

    def scores(
        self, examples: Sequence[Question], answers: Answers, eager: Answers, served: Served
    ) -> tuple[Score, ...]:
        from torchmetrics.functional.text import squad  # here, because importing it takes seconds

        exact, f1 = [], []
        for number, (example, answer) in enumerate(
            zip(examples, _answered(examples, answers, served), strict=True)
        ):
            truths = list(example.answers) or [""]
            result = squad(
                {"prediction_text": answer.text, "id": str(number)},
                {"answers": {"text": truths, "answer_start": [0] * len(truths)}, "id": str(number)},
            )
            exact.append(float(result["exact_match"]) / 100)
            f1.append(float(result["f1"]) / 100)
        return metrics.mean("answer F1", np.asarray(f1)), metrics.mean("exact match", np.asarray(exact))

    def decisions(self, examples: Sequence[Question], answers: Answers, served: Served) -> Indices:
        spans = [(answer.start, answer.end) for answer in _answered(examples, answers, served)]
        return np.asarray([(start << 32) + end for start, end in spans], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """An engine that gives each row the outputs that were recorded for its tokens."""

    outputs: Mapping[bytes, Array]
    providers: tuple[str, ...] = ()

    def run(self, feeds: Mapping[str, Fed]) -> dict[str, Fed]:
        lengths = feeds["attention_mask"].astype(np.int64).sum(axis=1)
        both = np.zeros((2, *feeds["input_ids"].shape), dtype=np.float32)
        for row, length in enumerate(lengths):
            ids = feeds["input_ids"][row, :length].astype(np.int64)
            both[:, row, :length] = self.outputs[ids.tobytes()]
        return {"start_logits": both[0], "end_logits": both[1]}


def _answered(examples: Sequence[Question], answers: Answers, served: Served) -> list[distilforge.Answer]:
    """What an application gets: the runtime's own session, on an engine that replays the recorded outputs."""
    outputs = {
        np.asarray(row.encodings[0].ids, dtype=np.int64).tobytes(): array
        for row, array in zip(answers.rows, answers.arrays, strict=True)
    }
    session = distilforge.QuestionAnswering(
        Loaded(
            manifest=served.manifest,
            variant=served.manifest.variants[0],
            engine=_Recorded(outputs),
            tokenizer=served.tokenizer,
            vocabulary=served.vocabulary,
        )
    )
    found = session(
        [(example.question, example.context) for example in examples],
        handle_impossible_answer=any(not example.answers for example in examples),
    )
    return [answer.best for answer in found]


def _answer(record: Record, index: int, answer: object, context: str) -> str:
    place = f"answers[{index}]"
    if not isinstance(answer, dict) or not {"text", "start"} <= set(answer):
        raise record.misfit(place, answer, 'an object {"text", "start"}')
    text, start = answer["text"], answer["start"]
    if not isinstance(text, str) or not text.strip():
        raise record.misfit(f"{place}.text", text, "text that is not blank")
    if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start < len(context):
        raise record.misfit(f"{place}.start", start, f"a whole number from 0 to {len(context) - 1}")
    if context[start : start + len(text)] != text:
        raise record.misfit(
            f"{place}.text",
            text,
            f"the context's text at character {start}, {context[start : start + len(text)]!r:.80}",
        )
    return text
