"""Columns of texts, and of the entities in them."""

from dataclasses import asdict

import pyarrow

from distilforge.bulk.columns import HeadColumns, Options
from distilforge.bulk.heads import columns
from distilforge.bulk.rows import Row

_ENTITY = pyarrow.struct(
    [
        ("label", pyarrow.string()),
        ("score", pyarrow.float64()),
        ("text", pyarrow.string()),
        ("word", pyarrow.string()),
        ("start", pyarrow.int64()),
        ("end", pyarrow.int64()),
    ]
)


@columns.register("token_classification")
class TokenClassificationColumns(HeadColumns):
    """The entities of a text, as a list."""

    inputs = ("text",)

    def input(self, row: Row) -> object:
        return row["text"]

    def fields(self, options: Options) -> tuple[pyarrow.Field, ...]:
        return (pyarrow.field("entities", pyarrow.list_(_ENTITY)),)

    def record(self, answer: object, options: Options) -> dict[str, object]:
        assert isinstance(answer, tuple)
        return {"entities": [asdict(entity) for entity in answer]}
