"""Columns of texts or pairs, and of their embeddings."""

import numpy as np
import pyarrow

from distilforge.bulk.columns import HeadColumns, Options, text_or_pair
from distilforge.bulk.heads import columns
from distilforge.bulk.rows import Row


@columns.register("features")
class FeaturesColumns(HeadColumns):
    """One embedding, or with `pooling` "token" one for each token."""

    inputs = ("text",)
    optional = ("text_pair",)

    def input(self, row: Row) -> object:
        return text_or_pair(row)

    def fields(self, options: Options) -> tuple[pyarrow.Field, ...]:
        vector = pyarrow.list_(pyarrow.float32())
        if options.get("pooling") == "token":
            return (pyarrow.field("embeddings", pyarrow.list_(vector)),)
        return (pyarrow.field("embedding", vector),)

    def record(self, answer: object, options: Options) -> dict[str, object]:
        assert isinstance(answer, np.ndarray)
        if options.get("pooling") == "token":
            return {"embeddings": list(answer)}
        return {"embedding": answer}
