"""Columns of texts or pairs, and of their labels."""

from dataclasses import asdict

import pyarrow

from distilforge.bulk.columns import HeadColumns, Options, text_or_pair
from distilforge.bulk.heads import columns
from distilforge.bulk.rows import Row
from distilforge.heads.sequence_classification import Classification


@columns.register("sequence_classification")
class SequenceClassificationColumns(HeadColumns):
    """The best label and its score; with another `top_k` than 1 all that were asked for."""

    inputs = ("text",)
    optional = ("text_pair",)

    def input(self, row: Row) -> object:
        return text_or_pair(row)

    def fields(self, options: Options) -> tuple[pyarrow.Field, ...]:
        best = [("label", pyarrow.string()), ("score", pyarrow.float64())]
        labels = [("labels", pyarrow.list_(pyarrow.struct(best)))] if options.get("top_k", 1) != 1 else []
        return tuple(pyarrow.field(name, kind) for name, kind in (*best, *labels))

    def record(self, answer: object, options: Options) -> dict[str, object]:
        assert isinstance(answer, Classification)
        values: dict[str, object] = {"label": answer.label, "score": answer.score}
        if options.get("top_k", 1) != 1:
            values["labels"] = [asdict(label) for label in answer.labels]
        return values
