"""A release that is loaded and ready to answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distilforge.backends import Engine
from distilforge.batching import Batch, batches, pad
from distilforge.errors import InputError
from distilforge.feeds import Array, check_feeds
from distilforge.inputs import Truncation, check_option, check_texts
from distilforge.manifest import Manifest, Span, Variant
from distilforge.probabilities import Floats
from distilforge.tokenizer import Encoding, Text, Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Everything a session is made of; `vocabulary` is how many token ids the model has embeddings for."""

    manifest: Manifest
    variant: Variant
    engine: Engine
    tokenizer: Tokenizer
    vocabulary: int


class Session:
    """A loaded variant of a release; safe to use from several threads at once.

    Calling it on text is its head's affair: see the classes in `distilforge.heads`.
    """

    example_inputs: ClassVar[str] = '["A text."]'
    """What an example passes when it calls the session, as Python code; the model card has it."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @property
    def manifest(self) -> Manifest:
        return self._loaded.manifest

    @property
    def variant(self) -> Variant:
        return self._loaded.variant

    @property
    def head(self) -> str:
        return self._loaded.manifest.head

    @property
    def labels(self) -> tuple[str, ...]:
        return self._loaded.manifest.labels

    @property
    def providers(self) -> tuple[str, ...]:
        """What computes, by the engine's own names."""
        return self._loaded.engine.providers

    @property
    def max_tokens(self) -> int:
        """The most tokens one row may have, special tokens included."""
        return self._span("sequence").high

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The graph's outputs by name, for arrays by name; shapes and dtypes are the manifest's.

        Raises InputError for feeds the graph cannot take (a batch beyond the span, too, is not split) and
        EngineError where the engine fails all the same.
        """
        return self._loaded.engine.run(check_feeds(feeds, self.manifest, self._loaded.vocabulary))

    def encode(self, texts: Sequence[Text], *, truncation: Truncation = "error") -> dict[str, Array]:
        """input_ids and attention_mask (int64; text, token) for `texts`, padded to the longest.

        Each text is a string, or a pair encoded together. Raises InputError for what is no text and, unless
        `truncation` is "truncate", for a text that is too long.
        """
        encodings = self._encodings(check_texts(texts), truncation)
        return pad(
            encodings, pad_id=self._loaded.tokenizer.special_id("pad"), at_least=self._span("sequence").low
        )

    def _floats(self, feeds: Mapping[str, Array], output: str) -> Floats:
        """One output as float32, whatever precision the variant computes in."""
        return self.run(feeds)[output].astype(np.float32, copy=False)

    def _span(self, axis: str) -> Span:
        return self.manifest.spans[axis]

    def _encodings(
        self, texts: Sequence[Text], truncation: Truncation, name: str = "input"
    ) -> list[Encoding]:
        check_option("truncation", truncation, ("error", "truncate"))
        tokenizer = self._loaded.tokenizer
        encodings = tokenizer.encode(texts) if texts else []
        longest = self.max_tokens if truncation == "error" else min(self.max_tokens, tokenizer.max_tokens)
        for row, encoding in enumerate(encodings):
            if len(encoding) <= longest:
                continue
            if truncation == "error":
                raise InputError(
                    f"{name} {row} has {len(encoding)} tokens, and this release takes at most {longest}: "
                    f"{texts[row]!r:.60}",
                    hint="shorten it, or pass truncation='truncate'",
                )
            encodings[row] = tokenizer.truncated(texts[row], longest)
        return encodings

    def _batches(self, encodings: Sequence[Encoding]) -> Iterator[Batch]:
        """The encodings, padded, in batches the release takes; each position once, shortest first."""
        sequence = self._span("sequence")
        pad_id = self._loaded.tokenizer.special_id("pad")
        lengths = [len(encoding) for encoding in encodings]
        for rows in batches(lengths, self._span("batch"), sequence):
            feeds = pad([encodings[row] for row in rows], pad_id=pad_id, at_least=sequence.low)
            yield Batch(rows=rows, feeds=feeds)
