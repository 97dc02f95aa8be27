"""Columns of contexts with their options, and of the option that was chosen."""

import json

import pyarrow

from distilforge.bulk.columns import HeadColumns, Options
from distilforge.bulk.heads import columns
from distilforge.bulk.rows import Row
from distilforge.errors import InputError
from distilforge.heads.multiple_choice import ChosenOption


@columns.register("multiple_choice")
class MultipleChoiceColumns(HeadColumns):
    """The chosen option, and the probability of every option."""

    inputs = ("context", "choices")

    def input(self, row: Row) -> object:
        return row["context"], _choices(row["choices"])

    def fields(self, options: Options) -> tuple[pyarrow.Field, ...]:
        return (
            pyarrow.field("index", pyarrow.int64()),
            pyarrow.field("text", pyarrow.string()),
            pyarrow.field("score", pyarrow.float64()),
            pyarrow.field("scores", pyarrow.list_(pyarrow.float64())),
        )

    def record(self, answer: object, options: Options) -> dict[str, object]:
        assert isinstance(answer, ChosenOption)
        return {
            "index": answer.index,
            "text": answer.text,
            "score": answer.score,
            "scores": list(answer.scores),
        }


def _choices(value: object) -> object:
    """The options in a cell; CSV has no lists, so that they stand there as a JSON array."""
    if not isinstance(value, str):
        return value
    try:
        choices: object = json.loads(value)
    except (ValueError, RecursionError):
        choices = None
    if not isinstance(choices, list):
        raise InputError(
            f"the choices must be a list, or a JSON array of texts, found {value!r:.80}",
            hint="""for example ["one option", "another option"]""",
        )
    return choices
