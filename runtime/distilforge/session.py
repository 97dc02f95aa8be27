"""A release that is loaded and ready to answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np

from distilforge.batching.options import MAX_DELAY_SECONDS, MAX_PADDING, MAX_WAITING
from distilforge.checks.arguments import Truncation, check_option, check_texts
from distilforge.checks.feeds import check_feeds, check_input_names, check_shapes
from distilforge.checks.interface import check_outputs
from distilforge.engine import Array, DeviceEngine, Engine
from distilforge.errors import InputError, UnavailableError
from distilforge.forks import keep_in_children
from distilforge.logits.probabilities import Floats
from distilforge.manifest import Manifest, Span, Variant
from distilforge.text.batching import Batch, batches, pad
from distilforge.tokenizer import Encoding, Text, Tokenizer

if TYPE_CHECKING:
    from distilforge.batching.batcher import Batcher
    from distilforge.batching.options import WhenFull
    from distilforge.cuda.arrays import DeviceArray

S = TypeVar("S", bound="Session")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParts:
    """The parts of a session."""

    manifest: Manifest
    """The release's manifest."""
    variant: Variant
    """The variant that `engine` runs."""
    engine: Engine
    """Runs the variant's graph."""
    tokenizer: Tokenizer
    """The release's tokenizer."""
    vocabulary: int
    """How many token ids the model has embeddings for; ids lie below it."""
    reopen: Callable[[], "Session"] | None = None
    """Opens the same session again, and can be pickled; None if the engine was not opened from a release."""


class Session:
    """A loaded variant of a release; safe to use from several threads at once.

    A session can be pickled, for `multiprocessing`, joblib or Ray: the other process opens the same variant of the same
    version folder, which must be there too.

    `distilforge.open` returns the subclass of the release's head, such as `distilforge.SequenceClassification`, which
    is called on text. `run` and `encode` work for every head.
    """

    example_inputs: ClassVar[str] = '["A text."]'
    """What an example passes when it calls the session, as Python code; the model card has it."""
    architecture: ClassVar[str] = ""
    """The head's class in transformers, with which config.json must agree; empty for any."""
    output_axes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The axes of each output that the head reads.

    `labels`, `vocabulary` and `dim` have the sizes in config.json. A name that is neither one of these nor that of a
    dynamic axis stands for a size that only the graph fixes.
    """

    def __init__(self, loaded: SessionParts) -> None:
        """Applications call `distilforge.open` instead."""
        self._loaded = loaded
        keep_in_children(self)

    def __reduce__(self) -> tuple[Callable[[], "Session"], tuple[()]]:
        """Pickle the arguments of `distilforge.open`, since an engine cannot be pickled.

        Raises InputError for a session that `distilforge.open` did not make.
        """
        if self._loaded.reopen is None:
            raise InputError(
                "this session cannot be pickled, since distilforge.open did not make it",
                hint="make it in the other process",
            )
        return self._loaded.reopen, ()

    @property
    def manifest(self) -> Manifest:
        """The release's manifest: its variants, verdicts, measurements and provenance."""
        return self._loaded.manifest

    @property
    def variant(self) -> Variant:
        """The variant that was loaded; its name is `session.variant.name`."""
        return self._loaded.variant

    @property
    def head(self) -> str:
        """The name of the release's head, such as "sequence_classification"."""
        return self._loaded.manifest.head

    @property
    def labels(self) -> tuple[str, ...]:
        """The checkpoint's labels, by their index in the logits; they mean something for classification heads only."""
        return self._loaded.manifest.labels

    @property
    def providers(self) -> tuple[str, ...]:
        """What computes, by the engine's own names, first choice first, such as ("CPUExecutionProvider",)."""
        return self._loaded.engine.providers

    @property
    def max_tokens(self) -> int:
        """The largest number of tokens in one row, special tokens included."""
        return self._span("sequence").high

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph on arrays by input name, and return its outputs by name.

        For most heads the inputs are `input_ids` and `attention_mask`, int64 of shape (batch, tokens), as `encode`
        makes them; for multiple choice the shape is (batch, choices, tokens). `manifest.inputs` and
        `manifest.outputs` have every name, dtype and shape. A batch is never split here.

        Raises InputError if the graph cannot take the arrays (name, dtype, shape, size or token id), and EngineError
        if the engine fails, or answers other shapes than the manifest says.
        """
        checked = check_feeds(feeds, self.manifest, self._loaded.vocabulary)
        outputs = self._loaded.engine.run(checked)
        check_outputs(outputs, checked, self.manifest)
        return outputs

    def run_on_device(self, feeds: Mapping[str, object]) -> "dict[str, DeviceArray]":
        """Run an engine on arrays on its device, and return its outputs there, without copies to the host.

        The inputs are arrays of any library that speaks DLPack or has `__cuda_array_interface__`, such as PyTorch and
        CuPy, int64 of the shapes that `run` takes. The outputs speak both: `torch.from_dlpack(output)` shares one. They
        have the engine's own type, such as float16. What the device computes has ended when this returns.

        Values are not looked at: an id outside the vocabulary gives a meaningless answer, and NaN is passed on.

        Raises UnavailableError if the variant is not an engine that this package runs itself, InputError if the engine
        cannot take the arrays (name, device, dtype, shape, size or strides), and EngineError if it fails.
        """
        engine = self._loaded.engine
        if not isinstance(engine, DeviceEngine):
            raise UnavailableError(
                f"this session of the variant {self.variant.name!r} does not take arrays on a device",
                hint="open a variant of tensorrt or tensorrt-rtx, and use its own session rather than a batcher's; or "
                "pass arrays in host memory to run",
            )
        check_input_names(feeds, self.manifest)
        return engine.run_on_device(feeds, lambda shapes: check_shapes(shapes, self.manifest))

    def batched(
        self: S,
        *,
        max_delay: float = MAX_DELAY_SECONDS,
        max_tokens: int | None = None,
        max_padding: float = MAX_PADDING,
        max_waiting: int = MAX_WAITING,
        timeout: float | None = None,
        when_full: "WhenFull" = "wait",
        runs: int = 1,
    ) -> "Batcher[S]":
        """Answer the calls of many threads and asyncio tasks together, with options and results as they are.

        `batcher.session` is a session for all threads, and `await batcher.answer(batcher.session, ...)` is for asyncio.
        Each caller's text is encoded in its own thread; then batches of similar length run together, padded to one
        length. Close the batcher at the end, or use it in `with` or `async with`.

        Args:
            max_delay: the longest time in seconds that a request waits for others while the engine is free. With 0,
                only what arrives during a run is put together.
            max_tokens: the most tokens of a run, padding included; None is the usual batch of the release at its usual
                length. A run never has more rows than the release takes.
            max_padding: the most of a run's tokens that may be padding, from 0 to 1. On a CPU padding costs as much as
                text; a GPU answers more texts a second in larger runs, so 1 may be better there.
            max_waiting: the most requests that may wait, and the most calls of `answer` in progress.
            timeout: the longest time in seconds that a request waits for its answer; None is for ever.
            when_full: what a request does that finds no room: "wait" for it, or raise the "error" BusyError.
            runs: how many runs execute at the same time; more than 1 is for engines with several contexts.

        Raises:
            InputError: an option is out of bounds.
        """
        # Imported only for those who call this
        from distilforge.batching.batcher import Batcher
        from distilforge.batching.engine import BatchingEngine
        from distilforge.batching.options import BatchingOptions

        engine = BatchingEngine(
            self._loaded.engine,
            BatchingOptions(
                max_delay=max_delay,
                max_tokens=self._span("batch").usual * self._span("sequence").usual
                if max_tokens is None
                else max_tokens,
                max_padding=max_padding,
                max_waiting=max_waiting,
                timeout=timeout,
                when_full=when_full,
                runs=runs,
            ),
            manifest=self.manifest,
            padding={"input_ids": self._loaded.tokenizer.special_id("pad")},
        )
        return Batcher(type(self)(replace(self._loaded, engine=engine, reopen=None)), engine)

    def encode(self, texts: Sequence[Text], *, truncation: Truncation = "error") -> dict[str, Array]:
        """Encode `texts` as the arrays `input_ids` and `attention_mask`, int64 of shape (texts, tokens).

        Each text is a string, or a pair of strings that is encoded together. Rows are padded to the longest one; the
        mask is 1 for a token and 0 for padding.

        Raises InputError if an input is not text, or if a text has more than `max_tokens` tokens and `truncation` is
        "error"; "truncate" shortens it instead.
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
        """The encoding of each text with its special tokens; `name` and the row name a text in errors."""
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
        """The encodings, padded, in batches that the release takes: each row once, the shortest first."""
        sequence = self._span("sequence")
        pad_id = self._loaded.tokenizer.special_id("pad")
        lengths = [len(encoding) for encoding in encodings]
        for rows in batches(lengths, self._span("batch"), sequence):
            feeds = pad([encodings[row] for row in rows], pad_id=pad_id, at_least=sequence.low)
            yield Batch(rows=rows, feeds=feeds)
