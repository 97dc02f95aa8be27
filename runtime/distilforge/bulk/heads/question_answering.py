"""Columns of questions with their contexts, and of the answers."""

from dataclasses import asdict

import pyarrow

from distilforge.bulk.columns import HeadColumns, Options
from distilforge.bulk.heads import columns
from distilforge.bulk.rows import Row
from distilforge.heads.question_answering import Answers


@columns.register("question_answering")
class QuestionAnsweringColumns(HeadColumns):
    """The best answer; with another `top_k` than 1 all candidates too."""

    inputs = ("question", "context")

    def input(self, row: Row) -> object:
        return row["question"], row["context"]

    def fields(self, options: Options) -> tuple[pyarrow.Field, ...]:
        best = [
            ("text", pyarrow.string()),
            ("score", pyarrow.float64()),
            ("start", pyarrow.int64()),
            ("end", pyarrow.int64()),
        ]
        candidates = (
            [("candidates", pyarrow.list_(pyarrow.struct(best)))] if options.get("top_k", 1) != 1 else []
        )
        return tuple(pyarrow.field(name, kind) for name, kind in (*best, *candidates))

    def record(self, answer: object, options: Options) -> dict[str, object]:
        assert isinstance(answer, Answers)
        values: dict[str, object] = asdict(answer.best)
        if options.get("top_k", 1) != 1:
            values["candidates"] = [asdict(candidate) for candidate in answer.candidates]
        return values
