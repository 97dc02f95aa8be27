"""Embeddings: vectors for texts or for their tokens."""

from collections.abc import Sequence
from typing import Literal, TypeVar, overload

import numpy as np

from distilforge.heads import heads
from distilforge.inputs import Truncation, check_option, check_texts, one_or_many
from distilforge.probabilities import Floats
from distilforge.session import Session
from distilforge.tokenizer import Text

Pooling = Literal["mean", "cls", "token"]

T = TypeVar("T", bound=Text)


@heads.register("features")
class Features(Session):
    """Embeds texts: the encoder's last hidden state, as transformers' FeatureExtractionPipeline gives it."""

    @overload
    def __call__(
        self,
        inputs: Text,
        *,
        pooling: Pooling = "mean",
        normalize: bool = False,
        truncation: Truncation = "error",
    ) -> Floats: ...
    @overload
    def __call__(
        self,
        inputs: list[T],
        *,
        pooling: Pooling = "mean",
        normalize: bool = False,
        truncation: Truncation = "error",
    ) -> list[Floats]: ...
    def __call__(
        self,
        inputs: Text | Sequence[Text],
        *,
        pooling: Pooling = "mean",
        normalize: bool = False,
        truncation: Truncation = "error",
    ) -> Floats | list[Floats]:
        """The embedding (float32) of a text, a (text, text) pair, or each of a list of them.

        `pooling`: "mean" over the tokens, special ones included, and "cls", the first token's, have shape (dim,);
        "token" has shape (tokens, dim), special tokens included. `normalize` scales every vector to length 1.
        Raises InputError for what is no text and, unless `truncation` is "truncate", for a text that is too long.
        """
        check_option("pooling", pooling, ("mean", "cls", "token"))

        def answer(values: list[object]) -> list[Floats]:
            texts = check_texts(values)
            encodings = self._encodings(texts, truncation)
            results: dict[int, Floats] = {}
            for batch in self._batches(encodings):
                states = self._floats(batch.feeds, "last_hidden_state")
                for row, row_states in zip(batch.rows, states, strict=True):
                    vectors = _pool(row_states[: len(encodings[row])], pooling)
                    results[row] = _unit(vectors) if normalize else vectors
            return [results[row] for row in range(len(texts))]

        return one_or_many(inputs, answer)


def _pool(states: Floats, pooling: Pooling) -> Floats:
    if pooling == "token":
        return states.copy()  # the caller keeps it, and must not keep the whole batch alive with it
    if pooling == "cls":
        first: Floats = states[0].copy()
        return first
    mean: Floats = states.mean(axis=0)
    return mean


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = vectors / np.maximum(length, np.finfo(np.float32).tiny)
    return unit
