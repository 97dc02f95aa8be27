"""Embeddings: vectors for texts or for their tokens."""

from collections.abc import Sequence
from typing import Literal, TypeVar, overload

import numpy as np

from distilforge.checks.arguments import Truncation, check_option, check_texts, one_or_many
from distilforge.heads import heads
from distilforge.logits.probabilities import Floats
from distilforge.session import Session
from distilforge.tokenizer import Text

Pooling = Literal["mean", "cls", "token"]

T = TypeVar("T", bound=Text)


@heads.register("features")
class Features(Session):
    """Embeds texts by the encoder's last hidden state, as transformers' FeatureExtractionPipeline does."""

    architecture = "DistilBertModel"
    output_axes = {"last_hidden_state": ("batch", "sequence", "dim")}

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
        """Embed a text or a pair (text, text), or each of a list of them.

        Args:
            inputs: one input gives one array, a list gives a list of arrays in the same order.
            pooling: which vectors to return, with `dim` the model's hidden size. "mean" averages over the tokens,
                special tokens included, and "cls" takes the first token: shape (dim,). "token" returns a vector for
                each token, special tokens included: shape (tokens, dim).
            normalize: scale each vector to length 1.
            truncation: "error" refuses a text that is too long, "truncate" shortens it.

        Returns:
            float32 arrays, which do not share memory with the session.

        Raises:
            InputError: an input is not text or is too long, or an option is unknown.
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
    """Pool `states`, (tokens, dim)."""
    if pooling == "token":
        # A view would keep the whole batch alive as long as the caller keeps its row
        return states.copy()
    if pooling == "cls":
        first: Floats = states[0].copy()
        return first
    mean: Floats = states.mean(axis=0)
    return mean


def _unit(vectors: Floats) -> Floats:
    """Scale to length 1 along the last axis; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = vectors / np.maximum(length, np.finfo(np.float32).tiny)
    return unit
