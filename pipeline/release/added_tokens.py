"""The added and special tokens of a checkpoint's tokenizer, as transformers puts them together from four files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken

from model_src.errors import CheckpointError
from model_src.json_file import read_json

CONFIG = "tokenizer_config.json"
SPECIAL = "special_tokens_map.json"
ADDED = "added_tokens.json"
_DECODER = "added_tokens_decoder"
_LISTS = ("additional_special_tokens", "extra_special_tokens")
# In transformers' order, which gives new tokens their ids
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """The settings of a tokenizer that are not in tokenizer.json."""

    values: Mapping[str, object]
    """tokenizer_config.json with the special tokens of special_tokens_map.json where transformers uses them."""
    added: Mapping[int, AddedToken]
    """The added tokens by their ids, apart from those that only tokenizer.json has."""
    overrules: bool
    """Whether `added` replaces the flags of tokenizer.json's added tokens with the same id, and not the reverse."""

    def special(self) -> dict[str, AddedToken]:
        """The special tokens by their text, in the order in which transformers adds them."""
        values = [self.values.get(role) for role in _ROLES]
        for name in _LISTS:
            tokens = self.values.get(name)
            if isinstance(tokens, list):
                values += tokens
            elif isinstance(tokens, dict):
                values += tokens.values()
        special: dict[str, AddedToken] = {}
        for value in values:
            if value is not None:
                token = _token(value, special=True)
                special.setdefault(token.content, token)
        return special

    def missing(self, own: Mapping[int, AddedToken]) -> list[AddedToken]:
        """The tokens to add to a tokenizer that has the added tokens `own` by their ids; those it has keep their ids.

        Source: PreTrainedTokenizerFast.__init__ in transformers 4.57, which adds the tokens of tokenizer_config.json or
        added_tokens.json first, and then the special tokens that are still missing.
        """
        special = self.special()
        added = self.added if self.overrules else {**self.added, **own}
        tokens = [added[token_id] for token_id in sorted(added)]
        for token in tokens:
            token.special = token.special or token.content in special
        present = {token.content for token in (*own.values(), *tokens)}
        return [*tokens, *(special[content] for content in special if content not in present)]


def read(folder: Path, defaults: Mapping[str, str]) -> TokenSettings:
    """The settings of the tokenizer in `folder`; CheckpointError for a token that is not valid.

    `defaults` are the special tokens that count if no file names them, by transformers' names for them.
    If tokenizer_config.json has added_tokens_decoder, special_tokens_map.json and added_tokens.json do not count.
    Source: PreTrainedTokenizerBase._from_pretrained in transformers 4.57.
    """
    config = {**defaults, **read_values(folder / CONFIG)}
    decoder = config.get(_DECODER)
    if isinstance(decoder, dict):
        return TokenSettings(values=config, added=_by_id(folder / CONFIG, decoder), overrules=True)
    special_map = read_values(folder / SPECIAL)
    lists = [settings.get(_LISTS[0]) for settings in (config, special_map)]
    additional = [token for tokens in lists if isinstance(tokens, list) for token in tokens]
    values = {**config, **special_map, **({_LISTS[0]: additional} if additional else {})}
    special = TokenSettings(values=values, added={}, overrules=False).special()
    tokens = {
        token_id: {"content": content, "special": content in special, "normalized": content not in special}
        for content, token_id in read_values(folder / ADDED).items()
    }
    return TokenSettings(values=values, added=_by_id(folder / ADDED, tokens), overrules=False)


def _by_id(path: Path, tokens: Mapping[object, object]) -> Mapping[int, AddedToken]:
    """`tokens` with their ids as numbers; CheckpointError, which names `path`, for an id that is not a number."""
    by_id: dict[int, AddedToken] = {}
    for token_id, value in tokens.items():
        try:
            by_id[int(str(token_id))] = _token(value)
        except ValueError as cause:
            raise CheckpointError(
                f"{path} gives an added token the id {token_id!r:.80}, which is not a whole number",
                hint="save the tokenizer again with save_pretrained",
            ) from cause
    return by_id


def _token(value: object, *, special: bool = False) -> AddedToken:
    """The token in `value`, a text or an object; CheckpointError for anything else."""
    if isinstance(value, str):
        return AddedToken(value, special=special)
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(content, str):
        raise CheckpointError(
            f"an added token must be a text or an object with a content, found {value!r:.80}",
            hint="save the tokenizer again with save_pretrained",
        )
    flags = {name: flag for name in _FLAGS if isinstance(flag := value.get(name), bool)}
    return AddedToken(content, **flags | ({"special": True} if special else {}))


def read_values(path: Path) -> Mapping[str, object]:
    """The JSON object in the file `path`, empty if there is no such file.

    Raises CheckpointError if the file contains anything else.
    """
    return read_json(path) if path.is_file() else {}
