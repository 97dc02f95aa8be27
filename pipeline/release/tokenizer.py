"""The tokenizer's files of a release: the checkpoint's own, and those that it lacks made from those that it has."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder, read_json

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
SPECIAL = "special_tokens_map.json"
VOCABULARY = "vocab.txt"

_SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}

# transformers' classes that replace tokenizer.json's normalizer where their configuration differs; without a class
# named, it is the model's
_OVERRULING = (
    None,
    *(f"{model}Tokenizer{kind}" for model in ("DistilBert", "Bert") for kind in ("", "Fast")),
)


def write(checkpoint: CheckpointFolder, destination: Path, *, vocab_size: int, longest: int) -> None:
    """Write tokenizer.json, its configuration and vocab.txt for `checkpoint` into the folder `destination`.

    `vocab_size` is the number of embeddings and `longest` that of positions. Raises CheckpointError where there is no
    tokenizer, where it is damaged, and where it can give ids without an embedding.
    """
    for path in checkpoint.tokenizer:
        shutil.copyfile(path, destination / path.name)
    if not (destination / TOKENIZER).exists():
        if not (destination / VOCABULARY).exists():
            raise CheckpointError(
                f"{checkpoint.path} has no tokenizer: neither {TOKENIZER} nor {VOCABULARY}",
                hint="save the tokenizer beside the model: tokenizer.save_pretrained(folder)",
            )
        _from_vocabulary(destination)
    tokenizer = _load(destination / TOKENIZER, checkpoint.path)
    _align(destination)
    _check_size(tokenizer, checkpoint.path, vocab_size)
    _complete(destination, tokenizer, longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What decides how text becomes wordpieces. Source: transformers' DistilBertTokenizerFast, with its defaults."""

    lowercase: bool
    strip_accents: bool | None
    handle_chinese_chars: bool
    overrules_normalizer: bool
    special: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> "_Settings":
        values = {
            **(read_json(folder / CONFIG) if (folder / CONFIG).exists() else {}),
            **(read_json(folder / SPECIAL) if (folder / SPECIAL).exists() else {}),
        }
        accents = values.get("strip_accents")
        return cls(
            lowercase=values.get("do_lower_case") is not False,
            strip_accents=accents if isinstance(accents, bool) else None,
            handle_chinese_chars=values.get("tokenize_chinese_chars") is not False,
            overrules_normalizer=values.get("tokenizer_class") in _OVERRULING,
            special={name: _content(values.get(name), default) for name, default in _SPECIAL_TOKENS.items()},
        )


def _content(value: object, default: str) -> str:
    """A special token's text, which is stored bare or as an object."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else default


def _from_vocabulary(folder: Path) -> None:
    settings = _Settings.read(folder)
    lines = (folder / VOCABULARY).read_text(encoding="utf-8").split("\n")
    pieces = {
        piece.rstrip("\r"): index for index, piece in enumerate(lines) if piece or index < len(lines) - 1
    }
    absent = [token for token in settings.special.values() if token not in pieces]
    if absent:
        raise CheckpointError(
            f"{folder / VOCABULARY} lacks the special tokens {', '.join(absent)}",
            hint="copy tokenizer.json into the checkpoint: save the tokenizer with save_pretrained",
        )
    tokenizer = BertWordPieceTokenizer(
        vocab=pieces,
        unk_token=settings.special["unk_token"],
        sep_token=settings.special["sep_token"],
        cls_token=settings.special["cls_token"],
        pad_token=settings.special["pad_token"],
        mask_token=settings.special["mask_token"],
        clean_text=True,
        handle_chinese_chars=settings.handle_chinese_chars,
        strip_accents=settings.strip_accents,
        lowercase=settings.lowercase,
    )
    tokenizer.save(str(folder / TOKENIZER))


def _align(folder: Path) -> None:
    """Make tokenizer.json normalize text as its configuration says, which is what transformers' tokenizers obey."""
    settings = _Settings.read(folder)
    if not settings.overrules_normalizer:
        return
    values = dict(read_json(folder / TOKENIZER))
    normalizer = values.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        return
    wanted = {
        **normalizer,
        "lowercase": settings.lowercase,
        "strip_accents": settings.strip_accents,
        "handle_chinese_chars": settings.handle_chinese_chars,
    }
    if wanted != normalizer:
        _write_json(folder / TOKENIZER, values | {"normalizer": wanted})


def _load(path: Path, checkpoint: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as cause:
        raise CheckpointError(
            f"the tokenizer of {checkpoint} is damaged: {cause}", hint="copy tokenizer.json again"
        ) from cause


def _check_size(tokenizer: Tokenizer, checkpoint: Path, vocab_size: int) -> None:
    entries = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if entries > vocab_size:
        raise CheckpointError(
            f"the tokenizer of {checkpoint} has {entries} entries, the model only {vocab_size} embeddings",
            hint="use the tokenizer that the model was trained with, or resize its embeddings and train them",
        )


def _complete(folder: Path, tokenizer: Tokenizer, longest: int) -> None:
    """Write what transformers expects beside tokenizer.json and the checkpoint did not have."""
    entries = tokenizer.get_vocab(with_added_tokens=False)
    settings = _Settings.read(folder)
    special = {
        name: token for name, token in settings.special.items() if tokenizer.token_to_id(token) is not None
    }
    if not (folder / SPECIAL).exists():
        _write_json(folder / SPECIAL, special)
    if not (folder / CONFIG).exists():
        lowercase = {"do_lower_case": settings.lowercase}
        _write_json(
            folder / CONFIG,
            {"tokenizer_class": "DistilBertTokenizer", "model_max_length": longest, **lowercase, **special},
        )
    if not (folder / VOCABULARY).exists():
        pieces = sorted(entries, key=entries.__getitem__)
        (folder / VOCABULARY).write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")


def _write_json(path: Path, values: Mapping[str, object]) -> None:
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
