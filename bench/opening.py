"""How a row's subject becomes one that the timing engine can time, in a process of its own."""

from collections.abc import Mapping
from pathlib import Path

from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Runner, Subject

from bench.rows import Row
from bench.shapes import feeds
from bench.subjects import Answer, Logits, subjects


class AnswerRunner(Runner):
    """A subject that answers the ids of its shape; what it says besides are the logits of its last run."""

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


def subject(row: Row, threads: int) -> Subject:
    """The subject of `row` on `threads` threads."""
    return Subject(
        name=row.name,
        opener="bench.opening:open_subject",
        arguments={"name": row.subject, "source": row.source, "threads": threads},
    )


def open_subject(name: str, source: str, threads: int) -> AnswerRunner:
    """What `subject` names, in its own process; raises what the subject's `open` raises."""
    return AnswerRunner(subjects.find(name).open(Path(source), threads))
