"""The tokenizer's files of a release: those of the checkpoint, and the missing ones made from them."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import tokenizers
from distilforge.errors import DistilforgeError
from distilforge.limits import MOST_TOKENIZER_BYTES
from distilforge.tokenizer import Text, Tokenizer, library_errors, load_tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

from model_src.errors import CheckpointError
from model_src.file_kind import check_is_not_a_stand_in
from model_src.folder import CheckpointFolder
from model_src.json_file import read_json, write_json
from pipeline.release import added_tokens, sentence_settings
from pipeline.release.added_tokens import TokenSettings
from pipeline.release.tokenizer_class import TokenizerClass
from pipeline.release.tokenizer_class import find as find_class

TOKENIZER = "tokenizer.json"
CONFIG = added_tokens.CONFIG
SPECIAL = added_tokens.SPECIAL
VOCABULARY = "vocab.txt"
_CLEAN_UP = "clean_up_tokenization_spaces"
# A word that is in no vocabulary, one that is too long for WordPiece, a pair and an empty text
_TRIALS: tuple[Text, ...] = ("a word, \u2603 and \U000e0001", "a" * 60_000, ("one text", "another"), "")

_ROLES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# A model that was trained without a mask has "mask_token": null
_MAY_BE_ABSENT = "mask_token"

_NORMALIZER: Mapping[str, tuple[str, bool | None]] = {
    "do_lower_case": ("lowercase", True),
    "strip_accents": ("strip_accents", None),
    "tokenize_chinese_chars": ("handle_chinese_chars", True),
}
"""The field of BertNormalizer and the default of each setting of tokenizer_config.json that changes it."""


def write(checkpoint: CheckpointFolder, destination: Path, *, vocab_size: int, longest: int) -> None:
    """Write tokenizer.json, its configuration and vocab.txt for `checkpoint` into the folder `destination`.

    `vocab_size` is the number of embeddings and `longest` the most tokens of a text. Raises CheckpointError if there is
    no tokenizer, if one of its files is a link that leads out of the checkpoint, if it is damaged, if transformers
    refuses a setting, if its class was not compared with tokenizer.json, if it breaks
    distilforge.text.tokenizer_limits, if it fails on a text, or if it can return ids that have no embedding.
    """
    tokenizer_class = find_class(checkpoint)
    for path in checkpoint.tokenizer:
        check_is_not_a_stand_in(path)
        try:
            shutil.copyfile(path, destination / path.name)
        except OSError as cause:
            raise CheckpointError(
                f"{path} cannot be copied: {cause}", hint="check its permissions"
            ) from cause
    is_made = not (destination / TOKENIZER).exists()
    if is_made:
        if not (destination / VOCABULARY).exists():
            raise CheckpointError(
                f"{checkpoint.path} has no tokenizer: neither {TOKENIZER} nor {VOCABULARY}",
                hint="save the tokenizer in the folder of the model: tokenizer.save_pretrained(folder)",
            )
        if not tokenizer_class.from_vocabulary:
            raise CheckpointError(
                f"{checkpoint.path} has no {TOKENIZER}, and its class of tokenizers is not made from {VOCABULARY}",
                hint="save the tokenizer again: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
            )
        _from_vocabulary(destination, checkpoint.path, vocab_size, tokenizer_class)

    def damaged(problem: str) -> CheckpointError:
        return CheckpointError(
            f"the tokenizer of {checkpoint.path} is damaged: {problem:.300}", hint="copy tokenizer.json again"
        )

    tokenizer = load_tokenizer(destination / TOKENIZER, damaged)
    if _align(destination, checkpoint.path, tokenizer_class):
        tokenizer = load_tokenizer(destination / TOKENIZER, damaged)
    defaults = {**_saved_padding(tokenizer), **tokenizer_class.special}
    settings = added_tokens.read(destination, defaults)
    _add_tokens(destination / TOKENIZER, tokenizer, settings, damaged, is_made=is_made)
    entries = tokenizer.get_vocab(with_added_tokens=True).values()
    _check_size(1 + max(entries, default=-1), checkpoint.path, vocab_size)
    _complete(destination, tokenizer, longest, defaults)
    if is_made:
        _clean_up_by_default(destination)
    if checkpoint.sentence is not None:
        sentence_settings.follow(checkpoint.sentence, destination)
    _try(destination, checkpoint.path, vocab_size)


def remarks(checkpoint: CheckpointFolder) -> tuple[str, ...]:
    """A sentence for each setting of the tokenizer that a release does not follow."""
    side = added_tokens.read(checkpoint.path, {}).values.get("padding_side", "right")
    if side == "right":
        return ()
    return (
        f"the tokenizer's padding_side is {side!r}; a release pads on the right, since padding on the left would shift "
        "the positions of a text by the length of the others",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """The settings of tokenizer_config.json that count for tokenizer.json, with the defaults of transformers 4.57."""

    normalizer: Mapping[str, object]
    """What they say of BertNormalizer's fields, by the names in _NORMALIZER; the values may be of any type."""
    add_prefix_space: object
    """Whether a tokenizer of bytes puts a space before a text; transformers disregards a value that is no boolean."""
    special: Mapping[str, str]
    """The text of each special token that there is, by transformers' name for it."""

    @classmethod
    def read(cls, folder: Path, defaults: Mapping[str, str]) -> "_Settings":
        """The settings in `folder`; `defaults` are the special tokens that count if no file says otherwise."""
        values = added_tokens.read(folder, defaults).values
        return cls(
            normalizer={name: values.get(name, default) for name, (_, default) in _NORMALIZER.items()},
            add_prefix_space=values.get("add_prefix_space", False),
            special={name: text for name in _ROLES if (text := _content(values.get(name)))},
        )

    def flags(self, checkpoint: Path, own: Mapping[str, object]) -> dict[str, object]:
        """BertNormalizer's fields; CheckpointError for a value that transformers refuses.

        `own` are the fields that tokenizer.json has. Where they equal the settings, transformers changes nothing, and
        so takes 0 for false and 1 for true.
        """
        flags = {field: self.normalizer[name] for name, (field, _) in _NORMALIZER.items()}
        if all(field in own and own[field] == value for field, value in flags.items()):
            return {field: own[field] for field in flags}
        for name, (_, default) in _NORMALIZER.items():
            value = self.normalizer[name]
            if not isinstance(value, bool) and not (value is None and default is None):
                expected = "true or false" if default is not None else "true, false or null"
                raise CheckpointError(
                    f"{checkpoint / CONFIG} has {json.dumps(value):.80} for {name!r}, which must be {expected}",
                    hint=f"correct it to what the model was trained with, or remove {name!r} if that is "
                    f"{json.dumps(default)}, the default",
                )
        return flags


def _content(value: object) -> str:
    """The text of a special token, which is stored as a string or as an object; empty if there is none."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _saved_padding(tokenizer: tokenizers.Tokenizer) -> Mapping[str, str]:
    """The pad token of the padding that is saved in tokenizer.json, which PreTrainedTokenizerFast takes by default."""
    padding = tokenizer.padding
    return {} if padding is None else {"pad_token": str(padding["pad_token"])}


def _from_vocabulary(
    folder: Path, checkpoint: Path, vocab_size: int, tokenizer_class: TokenizerClass
) -> None:
    """Write tokenizer.json for vocab.txt in `folder`, a copy of that of `checkpoint`."""
    settings = _Settings.read(folder, tokenizer_class.special)
    needed = {name: text for name, text in tokenizer_class.special.items() if name != _MAY_BE_ABSENT}
    special = {**needed, **settings.special}
    flags = settings.flags(checkpoint, {})
    vocabulary = checkpoint / VOCABULARY
    if (folder / VOCABULARY).stat().st_size > MOST_TOKENIZER_BYTES:
        raise CheckpointError(
            f"{vocabulary} has more than {MOST_TOKENIZER_BYTES >> 20} MiB", hint="copy the file again"
        )
    try:
        lines = (folder / VOCABULARY).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as cause:
        raise CheckpointError(
            f"{vocabulary} is not UTF-8: {cause.reason} at byte {cause.start}",
            hint="copy the file again, or save it as UTF-8",
        ) from cause
    pieces = {
        piece.rstrip("\r"): index for index, piece in enumerate(lines) if piece or index < len(lines) - 1
    }
    # A tokenizer of more entries than the model has would be refused after seconds of work
    _check_size(1 + max(pieces.values(), default=-1), checkpoint, vocab_size)
    missing = {name: token for name, token in special.items() if token not in pieces}
    if missing:
        hint = (
            f"if the vocabulary is right, {CONFIG} must name its tokens: write {', '.join(missing)} into it"
        )
        if _MAY_BE_ABSENT in missing:
            hint += f'; a model that was trained without a mask has "{_MAY_BE_ABSENT}": null'
        raise CheckpointError(
            f"{vocabulary} lacks the special tokens {', '.join(missing.values())}", hint=hint
        )

    def unusable(problem: str) -> CheckpointError:
        return CheckpointError(
            f"no tokenizer can be made from {vocabulary}: {problem:.300}",
            hint="copy tokenizer.json into the checkpoint: save the tokenizer with save_pretrained",
        )

    with library_errors(unusable):
        tokenizer = BertWordPieceTokenizer(
            vocab=pieces,
            unk_token=special["unk_token"],
            sep_token=special["sep_token"],
            cls_token=special["cls_token"],
            pad_token=special["pad_token"],
            # The library makes a special token of this one, if the vocabulary has it
            mask_token=special.get("mask_token", special["unk_token"]),
            clean_text=True,
            **flags,
        )
        tokenizer.save(str(folder / TOKENIZER))


def _align(folder: Path, checkpoint: Path, tokenizer_class: TokenizerClass) -> bool:
    """Change tokenizer.json to the settings of tokenizer_config.json, as transformers does when it loads them.

    `folder` has a copy of the files of `checkpoint`. Returns whether it differed. Source: DistilBertTokenizerFast and
    PreTrainedTokenizerFast of transformers 4.57.
    """
    settings = _Settings.read(folder, tokenizer_class.special)
    values = read_json(folder / TOKENIZER, most_bytes=MOST_TOKENIZER_BYTES)
    adjusted = dict(values)
    normalizer, pre_tokenizer = values.get("normalizer"), values.get("pre_tokenizer")
    if tokenizer_class.sets_normalizer and _has_type(normalizer, "BertNormalizer"):
        adjusted["normalizer"] = {**normalizer, **settings.flags(checkpoint, normalizer)}
    if _has_type(pre_tokenizer, "ByteLevel") and isinstance(settings.add_prefix_space, bool):
        adjusted["pre_tokenizer"] = {**pre_tokenizer, "add_prefix_space": settings.add_prefix_space}
    if adjusted == values:
        return False
    write_json(folder / TOKENIZER, adjusted)
    return True


def _has_type(part: object, name: str) -> TypeGuard[Mapping[str, object]]:
    """Whether `part` of tokenizer.json is an object of the type `name`."""
    return isinstance(part, dict) and part.get("type") == name


def _add_tokens(
    path: Path,
    tokenizer: tokenizers.Tokenizer,
    settings: TokenSettings,
    damaged: Callable[[str], Exception],
    *,
    is_made: bool,
) -> None:
    """Add the tokens of the other files to `tokenizer` and, if it did not have them, to tokenizer.json at `path`.

    A tokenizer that was made from vocab.txt (`is_made`) has no flags of its own, such as the lstrip of a mask.
    """
    with library_errors(damaged):
        before, own = tokenizer.to_str(), tokenizer.get_added_tokens_decoder()
    missing = settings.missing({} if is_made else own)
    with library_errors(damaged):
        tokenizer.add_tokens(missing)
        is_changed = tokenizer.to_str() != before
        text = tokenizer.to_str(pretty=True)
    if is_changed:
        path.write_text(text, encoding="utf-8")


def _try(folder: Path, checkpoint: Path, vocab_size: int) -> None:
    """Encode a few texts; CheckpointError if the tokenizer in `folder` fails on one of them, or cannot pad them.

    It is one too if a text gets an id of `vocab_size` or more: what puts tokens around texts has ids of its own.
    """
    try:
        tokenizer = Tokenizer(folder)
        tokenizer.special_id("pad")
    except DistilforgeError as cause:
        # The files in `folder` are copies
        problem = cause.message.replace(str(folder), str(checkpoint))
        raise CheckpointError(
            f"the tokenizer of {checkpoint} cannot be published: {problem}",
            hint=f"correct {CONFIG} in the checkpoint; a tokenizer without a pad token needs it there, as "
            '"pad_token": "[PAD]"',
        ) from cause
    try:
        for text in _TRIALS:
            encoding = tokenizer.encode([text])[0]
            tokenizer.decode(encoding.ids[:64], skip_special_tokens=True)
            if (highest := max(encoding.ids, default=0)) >= vocab_size:
                raise CheckpointError(
                    f"the tokenizer of {checkpoint} gives a text the id {highest}, and the model has {vocab_size} "
                    "embeddings",
                    hint="correct the ids of the post-processor in tokenizer.json, or use the tokenizer that the model "
                    "was trained with",
                )
    except DistilforgeError as cause:
        raise CheckpointError(
            f"the tokenizer of {checkpoint} cannot be published: {cause.message}",
            hint="use the tokenizer that the model was trained with",
        ) from cause


def _check_size(entries: int, checkpoint: Path, vocab_size: int) -> None:
    if entries > vocab_size:
        raise CheckpointError(
            f"the tokenizer of {checkpoint} has {entries} entries, the model only {vocab_size} embeddings",
            hint="use the tokenizer that the model was trained with, or resize its embeddings and train them",
        )


def _complete(
    folder: Path, tokenizer: tokenizers.Tokenizer, longest: int, defaults: Mapping[str, str]
) -> None:
    """Write the files that transformers expects besides tokenizer.json, if the checkpoint does not have them.

    `defaults` are the special tokens that count if no file says otherwise.
    """
    entries = tokenizer.get_vocab(with_added_tokens=False)
    settings = _Settings.read(folder, defaults)
    special = {
        name: token for name, token in settings.special.items() if tokenizer.token_to_id(token) is not None
    }
    if not (folder / SPECIAL).exists():
        write_json(folder / SPECIAL, special)
    else:
        _correct_special(folder / SPECIAL, special)
    if not (folder / CONFIG).exists():
        lowercase = {"do_lower_case": settings.normalizer["do_lower_case"]}
        write_json(
            folder / CONFIG,
            {"tokenizer_class": "DistilBertTokenizer", "model_max_length": longest, **lowercase, **special},
        )
    if not (folder / VOCABULARY).exists():
        pieces = sorted(entries, key=entries.__getitem__)
        (folder / VOCABULARY).write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")


def _clean_up_by_default(folder: Path) -> None:
    """Write into tokenizer_config.json that decoded text is cleaned up, if it does not say anything about that.

    transformers reads vocab.txt with its slow classes, which clean up by default; those of tokenizer.json do not.
    """
    values = read_json(folder / CONFIG)
    if _CLEAN_UP not in values:
        write_json(folder / CONFIG, {**values, _CLEAN_UP: True})


def _correct_special(path: Path, special: Mapping[str, str]) -> None:
    """Change special_tokens_map.json, which the runtime reads first, to the tokens that transformers uses."""
    values = read_json(path)
    wrong = {name: token for name, token in special.items() if _content(values.get(name)) != token}
    if wrong:
        write_json(path, {**values, **wrong})
