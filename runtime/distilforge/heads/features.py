"""Embeddings: vectors for texts or for their tokens."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeVar, overload

import numpy as np

from distilforge.checks.arguments import Truncation, check_option, check_texts, one_or_many
from distilforge.heads import heads
from distilforge.logits.probabilities import Floats
from distilforge.session import Session
from distilforge.streaming import LOOK_AHEAD, stream
from distilforge.text.prompts import prompted
from distilforge.tokenizer import Text

Pooling = Literal["mean", "cls", "token"]

SENTENCE = "sentence_embedding"
"""The output of a model that declares how a text's embedding is computed, by the name of sentence-transformers."""

T = TypeVar("T", bound=Text)


@heads.register("features")
class Features(Session):
    """Embeds texts, as sentence-transformers or transformers' FeatureExtractionPipeline does.

    A release of a sentence-transformers model gives what `SentenceTransformer.encode` gives: its pooling, dense layers,
    normalization, default prompt and maximum length are part of the release. Other releases give the mean of the last
    hidden state.
    """

    architecture = "DistilBertModel"
    output_axes = {"last_hidden_state": ("batch", "sequence", "dim")}

    @property
    def prompts(self) -> Mapping[str, str]:
        """The texts of the prompts that `prompt_name` can name; empty for a model without prompts."""
        return MappingProxyType(self._loaded.tokenizer.prompts.texts)

    @overload
    def __call__(
        self,
        inputs: Text,
        *,
        pooling: Pooling | None = None,
        normalize: bool = False,
        prompt_name: str | None = None,
        truncation: Truncation | None = None,
    ) -> Floats: ...
    @overload
    def __call__(
        self,
        inputs: list[T],
        *,
        pooling: Pooling | None = None,
        normalize: bool = False,
        prompt_name: str | None = None,
        truncation: Truncation | None = None,
    ) -> list[Floats]: ...
    def __call__(
        self,
        inputs: Text | Sequence[Text],
        *,
        pooling: Pooling | None = None,
        normalize: bool = False,
        prompt_name: str | None = None,
        truncation: Truncation | None = None,
    ) -> Floats | list[Floats]:
        """Embed a text or a pair (text, text), or each of a list of them.

        Args:
            inputs: one input gives one array, a list gives a list of arrays in the same order.
            pooling: which vectors to return. None gives the embedding that a sentence-transformers model declares, of
                shape (embedding,), and "mean" for other models. The others are vectors of the last hidden state, with
                `dim` the model's hidden size: "mean" averages over the tokens, special tokens included, and "cls" takes
                the first token: shape (dim,). "token" returns a vector for each token, special tokens included: shape
                (tokens, dim).
            normalize: scale each vector to length 1.
            prompt_name: which of `prompts` stands in front of each text; None is the model's default prompt, if it has
                one.
            truncation: "error" refuses a text that is too long, "truncate" shortens it. None is "truncate" for a
                sentence-transformers model, as `encode` does it, and "error" for other models.

        Returns:
            float32 arrays, which do not share memory with the session.

        Raises:
            InputError: an input is not text or is too long, or an option is unknown.
        """
        if pooling is not None:
            check_option("pooling", pooling, ("mean", "cls", "token"))
        declared = any(output.name == SENTENCE for output in self.manifest.outputs)
        output = SENTENCE if declared and pooling is None else "last_hidden_state"
        how_to_truncate = truncation or ("truncate" if declared else "error")
        prompt = self._loaded.tokenizer.prompts.find(prompt_name)

        def answer(values: list[object]) -> list[Floats]:
            texts = [prompted(text, prompt) for text in check_texts(values)]
            encodings = self._encodings(texts, how_to_truncate)
            results: dict[int, Floats] = {}
            for batch in self._batches(encodings):
                for row, values_of_row in zip(batch.rows, self._floats(batch.feeds, output), strict=True):
                    vectors = (
                        values_of_row.copy()
                        if output == SENTENCE
                        else _pool(values_of_row[: len(encodings[row])], pooling or "mean")
                    )
                    results[row] = _unit(vectors) if normalize else vectors
            return [results[row] for row in range(len(texts))]

        return one_or_many(inputs, answer)

    def stream(
        self,
        inputs: Iterable[Text],
        *,
        look_ahead: int = LOOK_AHEAD,
        pooling: Pooling | None = None,
        normalize: bool = False,
        prompt_name: str | None = None,
        truncation: Truncation | None = None,
    ) -> Iterator[Floats]:
        """Answer more inputs than fit into memory, one after another, in order.

        `look_ahead` inputs at a time are taken from `inputs` and answered together; the other options are those of a
        call. InputError for an input that cannot be answered has its position, and comes after the answers before it.
        """

        def answer(values: list[Text]) -> list[Floats]:
            return self(
                values, pooling=pooling, normalize=normalize, prompt_name=prompt_name, truncation=truncation
            )

        return stream(inputs, answer, look_ahead)


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
