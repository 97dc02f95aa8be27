"""Make a row a subject of the timing engine, which opens it in a process of its own."""

from collections.abc import Mapping
from pathlib import Path

from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Runner, Subject

from bench.contest.base_subject import Answer, Logits
from bench.contest.rows import Row
from bench.models.shapes import feeds
from bench.subjects import subjects


class AnswerRunner(Runner):
    """Answers the token ids of a shape; its facts are the logits of the last run."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._logits: Logits | None = None

    def feed(self, shape: Shape) -> None:
        self._ids, self._mask = feeds(shape)

    def run(self) -> None:
        self._logits = self._answer(self._ids, self._mask)

    def facts(self) -> Mapping[str, Json]:
        assert self._logits is not None
        return {"logits": self._logits.tolist()}


def timing_subject(row: Row, threads: int) -> Subject:
    """The subject of `row`, to be timed on `threads` threads."""
    return Subject(
        name=row.name,
        opener="bench.cpu.opening:open_subject",
        arguments={"name": row.subject, "source": row.source, "threads": threads},
    )


def open_subject(name: str, source: str, threads: int) -> AnswerRunner:
    """The opener of `timing_subject`, for its own process; raises what the subject's `open` raises."""
    return AnswerRunner(subjects.find(name).open(Path(source), threads))
