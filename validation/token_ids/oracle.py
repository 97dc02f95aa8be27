"""The tokenizer that transformers loads for a checkpoint. No other file of the pipeline imports transformers."""

import importlib.util
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from distilforge.engine import Array
from distilforge.tokenizer import Text, library_errors
from tokenizers import normalizers

from model_src.folder import CONFIG as MODEL_CONFIG
from model_src.folder import CheckpointFolder
from model_src.json_file import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

INSTALL = "pip install transformers==4.57.6, which is the pipeline's extra checkpoints"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_MODEL_CLASS = "DistilBertTokenizer"
# Paths that a tokenizer was once loaded from; transformers would open them instead of the checkpoint's files
_PATHS = (
    "tokenizer_file",
    "vocab_file",
    "special_tokens_map_file",
    "added_tokens_file",
    "gguf_file",
    "init_inputs",
    "name_or_path",
)


class OracleError(Exception):
    """transformers is not installed, or does not load the tokenizer; the message says why, as a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of one text."""

    ids: tuple[int, ...]
    """The token ids, special tokens included."""
    offsets: tuple[tuple[int, int], ...]
    """The first character of each token, and the one after its last."""


class Oracle:
    """The tokenizer of transformers for one checkpoint."""

    def __init__(self, checkpoint: CheckpointFolder) -> None:
        """Load it as AutoTokenizer does; raises OracleError if transformers is not installed or fails.

        AutoTokenizer takes the class that tokenizer_config.json names, or else config.json, or else DistilBERT's, with
        the ending Fast. That class is loaded here, since importing AutoTokenizer takes twice as long as all the rest.
        Only the checkpoint's tokenizer files are read, no code is run and nothing is downloaded.
        """
        if importlib.util.find_spec("transformers") is None:
            raise OracleError(f"transformers is not installed; {INSTALL}")
        with library_errors(_failed):
            import transformers

            self.name = f"transformers {transformers.__version__}"
        with tempfile.TemporaryDirectory(prefix="distilforge-") as folder:
            name = f"{_copy(checkpoint, Path(folder)).removesuffix('Fast')}Fast"
            tokenizer_class = getattr(transformers, name, None)
            if tokenizer_class is None:
                raise OracleError(f"{self.name} does not have the class {name}")
            with self._errors():
                self._tokenizer: PreTrainedTokenizerFast = tokenizer_class.from_pretrained(
                    folder, local_files_only=True
                )
                if checkpoint.sentence is not None and checkpoint.sentence.do_lower_case:
                    # As sentence-transformers does it
                    backend = self._tokenizer.backend_tokenizer
                    others = [] if backend.normalizer is None else [backend.normalizer]
                    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *others])

    @property
    def added_tokens(self) -> tuple[str, ...]:
        """The text of every added and special token, in the order of their ids."""
        added: Mapping[str, int] = self._tokenizer.get_added_vocab()
        tokens = sorted(added, key=added.__getitem__)
        return tuple(dict.fromkeys([*tokens, *self._tokenizer.all_special_tokens]))

    def pieces(self, most: int) -> tuple[str, ...]:
        """Up to `most` tokens of the vocabulary, spread over its ids."""
        ids = np.unique(np.linspace(0, len(self._tokenizer) - 1, num=most, dtype=np.int64))
        return tuple(token for token in self._tokenizer.convert_ids_to_tokens(ids.tolist()) if token)

    def encode(self, texts: Sequence[Text], *, max_tokens: int | None = None) -> list[Tokens]:
        """The tokens of each text or pair, at most `max_tokens` of them; None for no limit."""
        tokens: dict[int, Tokens] = {}
        with self._errors():
            for rows in _rows_by_kind(texts):
                first, second = _columns([texts[row] for row in rows])
                encoded = self._tokenizer(
                    first,
                    second,
                    truncation=max_tokens is not None,
                    max_length=max_tokens,
                    return_offsets_mapping=True,
                    verbose=False,
                )
                for row, ids, offsets in zip(
                    rows, encoded["input_ids"], encoded["offset_mapping"], strict=True
                ):
                    tokens[row] = Tokens(ids=tuple(ids), offsets=tuple(map(tuple, offsets)))
        return [tokens[row] for row in range(len(texts))]

    def padded(self, texts: Sequence[str]) -> dict[str, Array]:
        """`input_ids` and `attention_mask` of a batch, padded on the right to the longest text."""
        with self._errors():
            self._tokenizer.padding_side = "right"
            encoded = self._tokenizer(list(texts), padding=True, return_attention_mask=True, verbose=False)
        return {name: np.asarray(encoded[name], np.int64) for name in ("input_ids", "attention_mask")}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise any error as OracleError, and keep transformers from printing warnings."""
        from transformers.utils import logging as transformers_logging

        verbosity = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity(logging.ERROR)
        try:
            with library_errors(_failed):
                yield
        finally:
            transformers_logging.set_verbosity(verbosity)


def _failed(problem: str) -> OracleError:
    return OracleError(f"transformers fails on it ({problem:.300})")


def _copy(checkpoint: CheckpointFolder, folder: Path) -> str:
    """Copy the tokenizer's files of `checkpoint` into `folder`, and return the class that AutoTokenizer takes.

    A config.json that names DistilBERT is added, since that of an old checkpoint may lack its model_type.
    """
    for path in checkpoint.tokenizer:
        shutil.copyfile(path, folder / path.name)
    path = folder / _TOKENIZER_CONFIG
    settings = read_json(path) if path.exists() else {}
    if settings:
        kept = {name: value for name, value in settings.items() if name not in _PATHS}
        path.write_text(json.dumps(kept), encoding="utf-8")
    (folder / MODEL_CONFIG).write_text(json.dumps({"model_type": "distilbert"}), encoding="utf-8")
    named = (values.get("tokenizer_class") for values in (settings, checkpoint.read_config()))
    return str(next((name for name in named if name is not None), _MODEL_CLASS))


def _rows_by_kind(texts: Sequence[Text]) -> tuple[list[int], ...]:
    """The indices of the single texts, and those of the pairs, without empty lists."""
    single = [row for row, text in enumerate(texts) if isinstance(text, str)]
    pairs = [row for row, text in enumerate(texts) if not isinstance(text, str)]
    return tuple(rows for rows in (single, pairs) if rows)


def _columns(texts: Sequence[Text]) -> tuple[list[str], list[str] | None]:
    """The first texts and the second ones; None for single texts."""
    first = [text if isinstance(text, str) else text[0] for text in texts]
    second = [text[1] for text in texts if not isinstance(text, str)]
    return first, second or None
