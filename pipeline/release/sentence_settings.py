"""Settings of sentence-transformers that change what the tokenizer does."""

import shutil
from pathlib import Path

from distilforge.text.prompts import Prompts

from model_src.errors import CheckpointError
from model_src.json_file import MOST_TOKENIZER_BYTES, read_json, write_json
from model_src.sentence.listing import SETTINGS
from model_src.sentence.modules import SentenceModules

_TOKENIZER = "tokenizer.json"
_CONFIG = "tokenizer_config.json"


def follow(sentence: SentenceModules, folder: Path) -> None:
    """Write the settings of `sentence` into the tokenizer's files in `folder`, as sentence-transformers applies them.

    max_seq_length becomes the tokenizer's model_max_length, do_lower_case a normalizer ahead of the others, and the
    prompts are copied. Raises CheckpointError for prompts that are not texts, or a default that is not one of them.
    Source: sentence-transformers 5.7, Transformer.__init__.
    """
    if sentence.max_seq_length is not None:
        values = {**read_json(folder / _CONFIG), "model_max_length": sentence.max_seq_length}
        write_json(folder / _CONFIG, values)
    if sentence.do_lower_case:
        values = dict(read_json(folder / _TOKENIZER, most_bytes=MOST_TOKENIZER_BYTES))
        normalizers = _normalizers(values.get("normalizer"))
        if not any(map(_is_lowercase, normalizers)):
            normalizers = [{"type": "Lowercase"}, *normalizers]
            values["normalizer"] = {"type": "Sequence", "normalizers": normalizers}
            write_json(folder / _TOKENIZER, values)
    if SETTINGS in sentence.copies:
        _check_prompts(sentence.copies[SETTINGS])
        shutil.copyfile(sentence.copies[SETTINGS], folder / SETTINGS)


def _check_prompts(path: Path) -> None:
    try:
        Prompts.from_settings(read_json(path))
    except ValueError as cause:
        raise CheckpointError(
            f"{path} cannot be used: {cause}", hint="correct the prompts in this file, or remove them"
        ) from cause


def _normalizers(normalizer: object) -> list[object]:
    """The normalizers of a tokenizer, one by one."""
    if not isinstance(normalizer, dict):
        return []
    parts = normalizer.get("normalizers") if normalizer.get("type") == "Sequence" else None
    return list(parts) if isinstance(parts, list) else [normalizer]


def _is_lowercase(normalizer: object) -> bool:
    return isinstance(normalizer, dict) and normalizer.get("type") == "Lowercase"
