"""Questions with the stretch of a context that answers them."""

from collections.abc import Mapping
from typing import ClassVar

from distilforge.heads.question_answering import Answer, Answers
from distilforge.serve.adapter import Adapter, Json, fields_of
from distilforge.serve.heads import adapters


@adapters.register("question_answering")
class QuestionAnsweringAdapter(Adapter):
    """The candidates of each question, best first."""

    example: ClassVar[Json] = {"question": "A question?", "context": "The text that holds the answer."}
    task = "question-answering"

    def input(self, value: Json, where: str) -> object:
        entries = fields_of(value, where, required=("question", "context"))
        return entries["question"], entries["context"]

    def task_answers(self, answers: list[object], options: Mapping[str, Json], *, single: bool) -> Json:
        best: list[Json] = [_task_answer(answer) for answer in answers if isinstance(answer, Answers)]
        return best[0] if single else best


def _task_answer(answers: Answers) -> Json:
    candidates = [_candidate(candidate) for candidate in answers.candidates or (answers.best,)]
    return candidates[0] if len(candidates) == 1 else candidates


def _candidate(answer: Answer) -> dict[str, Json]:
    return {"answer": answer.text, "score": answer.score, "start": answer.start, "end": answer.end}
