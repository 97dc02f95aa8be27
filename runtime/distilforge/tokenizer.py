"""Text to token ids and back, through a `tokenizers` tokenizer that is never changed after it is loaded."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import tokenizers

from distilforge import json_text, limits
from distilforge.errors import InputError, ReleaseError
from distilforge.text import tokenizer_limits
from distilforge.text.prompts import SETTINGS, Prompts

Text = str | tuple[str, str]
"""A text, or a pair of texts that is encoded together."""
ROLES = ("pad", "unk", "cls", "sep", "mask")
"""The special tokens of DistilBERT, by the names that tokenizer_config.json has for them."""
MOST_NORMALIZED_CHARACTERS = 4_000_000
"""The most characters of a text after the tokenizer's normalizer; BERT's makes a text at most three times as long."""
_NO_LIMIT = 1 << 30


@contextmanager
def library_errors(error: Callable[[str], Exception]) -> Iterator[None]:
    """Raise whatever the `tokenizers` library throws as `error(description)`, with the cause chained.

    A panic of its Rust code is pyo3's PanicException, which derives from BaseException only.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as cause:
        raise error(f"{type(cause).__name__}: {cause}") from cause


def load_tokenizer(path: Path, error: Callable[[str], Exception]) -> tokenizers.Tokenizer:
    """The library's tokenizer in `path`; raises `error(description)` if it is damaged or breaks tokenizer_limits."""
    return _parse_tokenizer(_read(path, limits.MOST_TOKENIZER_BYTES, error), error)


def _parse_tokenizer(content: bytes, error: Callable[[str], Exception]) -> tokenizers.Tokenizer:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise error(f"it cannot be read: {cause}") from cause
    try:
        document = json_text.parse(text, unique_names=False)
    except ValueError as cause:
        raise error(f"it is not valid JSON: {cause}") from cause
    if problem := tokenizer_limits.problem(document):
        raise error(problem)
    with library_errors(error):
        return tokenizers.Tokenizer.from_str(text)


def _read(path: Path, most_bytes: int, error: Callable[[str], Exception]) -> bytes:
    """The content of a file."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as cause:
        raise error(f"it cannot be read: {cause}") from cause
    if len(content) > most_bytes:
        raise error(f"it has more than {most_bytes >> 20} MiB")
    return content


class Encoding(Protocol):
    """The part of `tokenizers.Encoding` that this package uses; offsets count characters of the original text."""

    @property
    def ids(self) -> list[int]: ...
    @property
    def tokens(self) -> list[str]: ...
    @property
    def offsets(self) -> list[tuple[int, int]]: ...
    @property
    def special_tokens_mask(self) -> list[int]: ...
    @property
    def word_ids(self) -> list[int | None]: ...
    @property
    def sequence_ids(self) -> list[int | None]: ...
    @property
    def overflowing(self) -> list["Encoding"]: ...
    def truncate(self, max_length: int, stride: int = 0, direction: str = "right") -> None: ...
    def token_to_word(self, token_index: int) -> int | None: ...
    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None: ...
    def __len__(self) -> int: ...


class _Decoder(Protocol):
    def decode(self, tokens: list[str]) -> str: ...


class _Normalizer(Protocol):
    def normalize_str(self, sequence: str) -> str: ...


class _Tokenizer(Protocol):
    @property
    def decoder(self) -> _Decoder | None: ...
    @property
    def model(self) -> object: ...
    @property
    def normalizer(self) -> "_Normalizer | None": ...
    @property
    def truncation(self) -> Mapping[str, object] | None: ...

    encode_special_tokens: bool

    def no_truncation(self) -> None: ...
    def no_padding(self) -> None: ...
    def token_to_id(self, token: str) -> int | None: ...
    def id_to_token(self, id: int) -> str | None: ...
    def num_special_tokens_to_add(self, is_pair: bool) -> int: ...
    def decode(self, ids: list[int], skip_special_tokens: bool) -> str: ...
    def encode(
        self, sequence: str, pair: str | None = None, *, add_special_tokens: bool = True
    ) -> Encoding: ...
    def encode_batch(self, input: list[Text]) -> list[Encoding]: ...
    def post_process(self, encoding: Encoding, pair: Encoding | None = None) -> Encoding: ...


class Tokenizer:
    """The tokenizer of a release; safe to use from several threads at once.

    Special tokens come from special_tokens_map.json, tokenizer_config.json and tokenizer.json; the first file that
    names one counts. The lengths of truncation and padding that are saved in tokenizer.json are ignored, as in
    transformers. The side of truncation counts.
    """

    def __init__(self, folder: Path, contents: Mapping[str, bytes] | None = None) -> None:
        """Read the tokenizer from a release's folder; raises ReleaseError if a file cannot be read.

        `contents` are the files by name, if they were read before: then nothing is read, and the folder is only named
        in errors.
        """
        path = folder / "tokenizer.json"

        def damaged(problem: str) -> ReleaseError:
            return ReleaseError(
                f"{str(path)!r} is not a tokenizer: {problem}", hint="publish the release again"
            )

        if contents is None:
            self._tokenizer: _Tokenizer = load_tokenizer(path, damaged)
        else:
            self._tokenizer = _parse_tokenizer(contents[path.name], damaged)
        settings = _json_object(folder / "tokenizer_config.json", contents) or {}
        special_tokens = _json_object(folder / "special_tokens_map.json", contents) or {}
        self._truncation_side = _truncation_side(settings, self._tokenizer, folder)
        with library_errors(damaged):
            # Their lengths are settings of the training
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            self._tokenizer.encode_special_tokens = settings.get("split_special_tokens") is True
            self._special = _special_ids(self._tokenizer, special_tokens, settings)
        self.prompts = _prompts(folder, contents)
        """What stands in front of the texts of an embedding model; without prompts for other models."""
        self._cleans_up = settings.get("clean_up_tokenization_spaces") is True
        # transformers 2 called it max_len
        limit = settings.get("model_max_length", settings.get("max_len"))
        # transformers saves "no limit" as the float 1e30
        self.max_tokens = (
            int(limit) if isinstance(limit, (int, float)) and 1 <= limit < _NO_LIMIT else _NO_LIMIT
        )
        """The longest text in tokens, special tokens included, by tokenizer_config.json; 2**30 without a limit."""

    def special_id(self, role: str) -> int:
        """The id of the special token `role`, one of ROLES; raises ReleaseError if the tokenizer has no such token."""
        if role not in self._special:
            raise ReleaseError(f"the tokenizer has no {role} token", hint="add it to special_tokens_map.json")
        return self._special[role]

    def special_token(self, role: str) -> str:
        """The special token `role` as text, such as "[MASK]"; raises ReleaseError as `special_id` does."""
        return self.token(self.special_id(role))

    @property
    def unknown_id(self) -> int | None:
        """The id of the token for unknown text; None if the tokenizer does not have one."""
        return self._special.get("unk")

    @property
    def marks_continuations(self) -> bool:
        """Whether a token that continues a word has a prefix, such as the ## of WordPiece."""
        return bool(getattr(self._tokenizer.model, "continuing_subword_prefix", None))

    def token(self, token_id: int) -> str:
        """The token with this id, as the vocabulary spells it; empty if there is none."""
        with library_errors(_failed):
            token = self._tokenizer.id_to_token(token_id)
        return "" if token is None else token

    def token_id(self, token: str) -> int | None:
        """The id of a token; None if it is not in the vocabulary."""
        with library_errors(_failed):
            return self._tokenizer.token_to_id(token)

    def join(self, tokens: list[str]) -> str:
        """Join tokens to text, as transformers' `convert_tokens_to_string` does."""
        with library_errors(_failed):
            decoder = self._tokenizer.decoder
            return " ".join(tokens) if decoder is None else decoder.decode(tokens)

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str:
        """The text of token ids, as transformers' `decode` gives it."""
        with library_errors(_failed):
            text = self._tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens)
        return _clean_up(text) if self._cleans_up else text

    def encode(self, texts: Sequence[Text]) -> list[Encoding]:
        """Encode each text or pair with its special tokens, without truncation or padding.

        This method and those below raise ReleaseError if the tokenizer fails on a text, and InputError for one that the
        tokenizer's normalizer makes too long.
        """
        for text in texts:
            for part in (text,) if isinstance(text, str) else text:
                self._check_normalized(part)
        with library_errors(_failed):
            if len(texts) == 1:
                # A single text does not need the library's thread pool, which takes time to start
                text, pair = (texts[0], None) if isinstance(texts[0], str) else texts[0]
                return [self._tokenizer.encode(text, pair)]
            return self._tokenizer.encode_batch(list(texts))

    def encode_plain(self, text: str) -> Encoding:
        """Encode one text without special tokens."""
        self._check_normalized(text)
        with library_errors(_failed):
            return self._tokenizer.encode(text, add_special_tokens=False)

    def truncated(self, text: Text, max_tokens: int) -> Encoding:
        """Encode `text` in at most `max_tokens` tokens, special tokens included.

        A text loses its end, or its start if tokenizer_config.json has the truncation_side "left". Of a pair, the
        longer text is shortened first, as in transformers. Raises InputError if `max_tokens` does not even hold the
        special tokens.
        """
        room = self._room(max_tokens, is_pair=not isinstance(text, str))
        if isinstance(text, str):
            encoding = self.encode_plain(text)
            with library_errors(_failed):
                encoding.truncate(room, direction=self._truncation_side)
                return self._tokenizer.post_process(encoding)
        first, second = map(self.encode_plain, text)
        first_length, second_length = _longest_first(len(first), len(second), room)
        with library_errors(_failed):
            first.truncate(first_length, direction=self._truncation_side)
            second.truncate(second_length, direction=self._truncation_side)
            return self._tokenizer.post_process(first, second)

    def windows(self, first: str, second: str, *, max_tokens: int, overlap: int | None) -> list[Encoding]:
        """Encode a pair in windows of at most `max_tokens` tokens: all of `first` and a piece of `second` each.

        Special tokens count. Neighbouring pieces of `second` share `overlap` tokens; None means half a window, at most
        128, and less if there is less room. Raises InputError if `first` leaves no room for `second`, or only as much
        as the overlap.
        """
        first_tokens, second_tokens = map(self.encode_plain, (first, second))
        room = self._room(max_tokens, is_pair=True) - len(first_tokens)
        if len(second_tokens) > room:
            if room < 1:
                raise InputError(
                    f"the first text has {len(first_tokens)} tokens and leaves no room for the second in a window of "
                    f"{max_tokens} tokens",
                    hint="shorten it, in question answering the question, or allow longer windows",
                )
            stride = min(max_tokens // 2, 128, room - 1) if overlap is None else overlap
            if stride >= room:
                raise InputError(
                    f"windows cannot overlap by {stride} tokens: besides the first text's {len(first_tokens)} tokens, "
                    f"a window of {max_tokens} has room for {room}",
                    hint=f"pass an overlap of at most {room - 1}",
                )
            with library_errors(_failed):
                second_tokens.truncate(room, stride=stride)
        with library_errors(_failed):
            whole = self._tokenizer.post_process(first_tokens, second_tokens)
            return [whole, *whole.overflowing]

    def _check_normalized(self, text: str) -> None:
        """Raise InputError for a text that has more than MOST_NORMALIZED_CHARACTERS after it is normalized."""
        # A shorter text cannot become so long, and is not normalized twice
        if len(text) * tokenizer_limits.MOST_GROWTH <= MOST_NORMALIZED_CHARACTERS:
            return
        with library_errors(_failed):
            normalizer = self._tokenizer.normalizer
            length = len(text) if normalizer is None else len(normalizer.normalize_str(text))
        if length > MOST_NORMALIZED_CHARACTERS:
            raise InputError(
                f"a text of {len(text):,} characters has {length:,} after the tokenizer has normalized it; at most "
                f"{MOST_NORMALIZED_CHARACTERS:,} are taken: {text!r:.60}",
                hint="split it, or pass its beginning",
            )

    def _room(self, max_tokens: int, *, is_pair: bool) -> int:
        """How many of `max_tokens` are left besides the special tokens."""
        with library_errors(_failed):
            special = self._tokenizer.num_special_tokens_to_add(is_pair)
        if max_tokens < special:
            raise InputError(
                f"{max_tokens} tokens cannot even hold the {special} special tokens",
                hint="allow more tokens",
            )
        return max_tokens - special


def _failed(problem: str) -> ReleaseError:
    return ReleaseError(
        f"the release's tokenizer failed: {problem:.300}",
        hint="publish the release again with another tokenizer",
    )


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Lengths of two texts after the longer is shortened, and then both alike; as `tokenizers` does it."""
    if first + second <= room:
        return first, second
    short = min(first, second)
    long = max(short, room - short)
    if short + long > room:
        short = room // 2
        long = room - short
    return (long, short) if first > second else (short, long)


def _truncation_side(settings: dict[str, object], tokenizer: _Tokenizer, folder: Path) -> str:
    """The side that long texts lose: that of tokenizer_config.json, else of tokenizer.json, else "right"."""
    side = settings.get("truncation_side")
    if side is None:
        return str((tokenizer.truncation or {}).get("direction", "right"))
    if side not in ("left", "right"):
        raise ReleaseError(
            f"{str(folder / 'tokenizer_config.json')!r} has the truncation_side {side!r}; it must be 'left' or 'right'",
            hint="correct it in the checkpoint, and publish the release again",
        )
    return str(side)


def _prompts(folder: Path, contents: Mapping[str, bytes] | None) -> Prompts:
    settings = _json_object(folder / SETTINGS, contents)
    try:
        return Prompts.from_settings(settings) if settings is not None else Prompts()
    except ValueError as cause:
        raise ReleaseError(
            f"{str(folder / SETTINGS)!r} cannot be used: {cause}",
            hint="correct it in the checkpoint, and publish the release again",
        ) from cause


def _json_object(path: Path, contents: Mapping[str, bytes] | None) -> dict[str, object] | None:
    """The JSON object in a file, or in `contents` if they are given; None if there is no such file."""

    def damaged(problem: str) -> ReleaseError:
        return ReleaseError(f"{str(path)!r} is not valid JSON: {problem}", hint="publish the release again")

    if contents is not None:
        content = contents.get(path.name)
    else:
        content = _read(path, limits.MOST_SETTINGS_BYTES, damaged) if os.path.lexists(path) else None
    if content is None:
        return None
    try:
        value = json_text.parse(content.decode("utf-8"), unique_names=False)
    except ValueError as cause:
        raise damaged(str(cause)) from cause
    if not isinstance(value, dict):
        raise ReleaseError(
            f"{str(path)!r} must hold a JSON object, found {type(value).__name__}",
            hint="publish the release again",
        )
    return value


def _special_ids(tokenizer: _Tokenizer, *sources: dict[str, object]) -> dict[str, int]:
    """The id of each special token, by its role; `sources` are settings files, and the first that names it counts."""
    ids: dict[str, int] = {}
    for role in ROLES:
        candidates = [source.get(f"{role}_token") for source in sources]
        candidates.append(getattr(tokenizer.model, "unk_token", None) if role == "unk" else None)
        # DistilBERT's own, if no file says otherwise
        candidates.append(f"[{role.upper()}]")
        for candidate in candidates:
            token = candidate.get("content") if isinstance(candidate, dict) else candidate
            token_id = tokenizer.token_to_id(token) if isinstance(token, str) else None
            if token_id is not None:
                ids[role] = token_id
                break
    return ids


def _clean_up(text: str) -> str:
    """transformers' change to decoded text if tokenizer_config.json has clean_up_tokenization_spaces."""
    for spaced, joined in (
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"),
        (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ):  # fmt: skip
        text = text.replace(spaced, joined)
    return text
