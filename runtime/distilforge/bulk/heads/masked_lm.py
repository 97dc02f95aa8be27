"""Columns of texts with masks, and of what fills the masks."""

from dataclasses import asdict

import pyarrow

from distilforge.bulk.columns import HeadColumns, Options
from distilforge.bulk.heads import columns
from distilforge.bulk.rows import Row

_FILL = pyarrow.struct(
    [
        ("token", pyarrow.int64()),
        ("text", pyarrow.string()),
        ("score", pyarrow.float64()),
        ("sequence", pyarrow.string()),
    ]
)
_MASK = pyarrow.struct(
    [("start", pyarrow.int64()), ("end", pyarrow.int64()), ("fills", pyarrow.list_(_FILL))]
)


@columns.register("masked_lm")
class MaskedLanguageModelColumns(HeadColumns):
    """The masks of a text, as a list, each with a list of candidates."""

    inputs = ("text",)

    def input(self, row: Row) -> object:
        return row["text"]

    def fields(self, options: Options) -> tuple[pyarrow.Field, ...]:
        return (pyarrow.field("masks", pyarrow.list_(_MASK)),)

    def record(self, answer: object, options: Options) -> dict[str, object]:
        assert isinstance(answer, tuple)
        return {"masks": [asdict(mask) for mask in answer]}
