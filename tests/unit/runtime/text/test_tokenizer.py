"""Encoding and truncation equal transformers', whatever settings were saved in the tokenizer's files."""

import json
import shutil
from pathlib import Path

import pytest
import tokenizers
import transformers
from distilforge.errors import InputError, ReleaseError
from distilforge.tokenizer import Tokenizer, library_errors

from tests.conftest import write_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return folder


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def oracle(folder: Path) -> transformers.PreTrainedTokenizerFast:
    return transformers.AutoTokenizer.from_pretrained(folder)


def change(path: Path, **values: object) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | values), encoding="utf-8")


@pytest.mark.parametrize("limit", [3, 4, 7, 8, 20, 21])
def test_pairs_are_truncated_as_by_transformers(
    folder: Path, oracle: transformers.PreTrainedTokenizerFast, limit: int
) -> None:
    tokenizer = Tokenizer(folder)
    for first in range(0, 24, 3):
        for second in range(1, 24, 2):
            pair = ("cat dog house " * first, "red blue " * second)
            expected = oracle(*pair, truncation=True, max_length=limit)["input_ids"]
            assert tokenizer.truncated(pair, limit).ids == expected


def test_texts_are_truncated_as_by_transformers(
    folder: Path, oracle: transformers.PreTrainedTokenizerFast
) -> None:
    for limit in (2, 3, 10):
        expected = oracle("cat dog " * 9, truncation=True, max_length=limit)["input_ids"]
        assert Tokenizer(folder).truncated("cat dog " * 9, limit).ids == expected


@pytest.mark.parametrize("place", ["tokenizer_config.json", "tokenizer.json"])
def test_the_side_of_truncation_is_as_in_transformers(copied: Path, place: str) -> None:
    if place == "tokenizer.json":
        saved = tokenizers.Tokenizer.from_file(str(copied / place))
        saved.enable_truncation(4, direction="left")
        saved.save(str(copied / place))
        # transformers saves its own side, which counts before that of tokenizer.json
        settings = json.loads((copied / "tokenizer_config.json").read_text())
        settings.pop("truncation_side", None)
        (copied / "tokenizer_config.json").write_text(json.dumps(settings))
    else:
        change(copied / place, truncation_side="left")
    tokenizer, oracle = Tokenizer(copied), transformers.AutoTokenizer.from_pretrained(copied)
    text, pair = "the cat was good and the dog was bad", ("cat dog house red", "red blue " * 4)
    for limit in (4, 5, 8):
        expected = oracle(text, truncation=True, max_length=limit)["input_ids"]
        assert tokenizer.truncated(text, limit).ids == expected
        expected = oracle(*pair, truncation=True, max_length=limit)["input_ids"]
        assert tokenizer.truncated(pair, limit).ids == expected
    assert tokenizer.truncated(text, 4).tokens[1:-1] == ["was", "bad"]


def test_another_side_of_truncation_is_refused(copied: Path) -> None:
    change(copied / "tokenizer_config.json", truncation_side="middle")
    with pytest.raises(ReleaseError, match="truncation_side 'middle'; it must be 'left' or 'right'"):
        Tokenizer(copied)


def test_special_tokens_in_texts_can_be_split(copied: Path) -> None:
    change(copied / "tokenizer_config.json", split_special_tokens=True)
    oracle = transformers.AutoTokenizer.from_pretrained(copied)
    assert Tokenizer(copied).encode(["the [MASK]"])[0].ids == oracle("the [MASK]")["input_ids"]


def test_too_few_tokens_for_the_special_ones(folder: Path) -> None:
    with pytest.raises(InputError, match="2 tokens cannot even hold the 3 special tokens"):
        Tokenizer(folder).truncated(("a", "b"), 2)


def test_saved_truncation_and_padding_are_ignored(copied: Path) -> None:
    saved = tokenizers.Tokenizer.from_file(str(copied / "tokenizer.json"))
    saved.enable_truncation(4)
    saved.enable_padding(length=12)
    saved.save(str(copied / "tokenizer.json"))
    tokenizer = Tokenizer(copied)
    assert [len(encoding) for encoding in tokenizer.encode(["cat " * 8, "a"])] == [10, 3]
    assert len(tokenizer.encode(["cat " * 8])[0]) == 10


def test_special_tokens_come_from_the_files(copied: Path) -> None:
    tokenizer = Tokenizer(copied)
    assert tokenizer.special_id("mask") == tokenizer.token_id("[MASK]")
    change(copied / "tokenizer_config.json", mask_token="cat", pad_token={"content": "dog", "special": True})
    change(copied / "special_tokens_map.json", pad_token={"content": "house"}, mask_token=None)
    tokenizer = Tokenizer(copied)
    assert tokenizer.special_token("mask") == "cat"
    assert tokenizer.special_token("pad") == "house"


def test_special_tokens_without_their_files(copied: Path) -> None:
    (copied / "special_tokens_map.json").unlink()
    (copied / "tokenizer_config.json").unlink()
    tokenizer = Tokenizer(copied)
    assert [tokenizer.special_token(role) for role in ("pad", "unk", "cls", "sep", "mask")] == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
    ]
    with pytest.raises(ReleaseError, match="has no bos token"):
        tokenizer.special_id("bos")


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("content", ["{", "[]"])
def test_damaged_settings(copied: Path, name: str, content: str) -> None:
    (copied / name).write_text(content, encoding="utf-8")
    with pytest.raises(ReleaseError, match=name):
        Tokenizer(copied)


@pytest.mark.parametrize("cleans_up", [True, False])
def test_decoding(copied: Path, cleans_up: bool) -> None:
    change(copied / "tokenizer_config.json", clean_up_tokenization_spaces=cleans_up)
    tokenizer, oracle = Tokenizer(copied), transformers.AutoTokenizer.from_pretrained(copied)
    for text in ("the cat's not ' a ' dog , is n't it ? ! .", "we've un##read 've"):
        ids = oracle(text)["input_ids"]
        for skip in (True, False):
            assert tokenizer.decode(ids, skip_special_tokens=skip) == oracle.decode(
                ids, skip_special_tokens=skip
            )
        assert tokenizer.join(oracle.tokenize(text)) == oracle.convert_tokens_to_string(oracle.tokenize(text))


@pytest.mark.parametrize(("saved", "expected"), [(48, 48), (1e30, 1 << 30), (None, 1 << 30)])
def test_the_longest_text(copied: Path, saved: float | None, expected: int) -> None:
    change(copied / "tokenizer_config.json", model_max_length=saved)
    assert Tokenizer(copied).max_tokens == expected


def test_the_longest_text_as_transformers_2_saved_it(copied: Path) -> None:
    settings = json.loads((copied / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (copied / "tokenizer_config.json").write_text(json.dumps(settings | {"max_len": 24}))
    assert Tokenizer(copied).max_tokens == 24
    assert transformers.AutoTokenizer.from_pretrained(copied).model_max_length == 24


TEXT = {"Sequence": {"id": "A", "type_id": 0}}
WITHOUT_ITS_TOKEN = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, TEXT],
    "pair": [TEXT],
    "special_tokens": {},
}


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////wAAAAA="}},
        {"normalizer": {"type": "Replace", "pattern": {"Regex": "^(a+)+$"}, "content": "b"}},
        {"normalizer": {"type": "Replace", "pattern": {"Regex": "["}, "content": "b"}},
        {"model": None},
    ],
    ids=["a panic", "a pattern that runs away", "a pattern that is malformed", "no model"],
)
def test_a_tokenizer_that_cannot_be_loaded_is_a_release_error(
    copied: Path, changes: dict[str, object]
) -> None:
    change(copied / "tokenizer.json", **changes)
    with pytest.raises(ReleaseError, match="is not a tokenizer: ") as caught:
        Tokenizer(copied)
    assert caught.value.hint == "publish the release again"


@pytest.mark.parametrize("content", ["[" * 100_000, '{"version": ' + "1" * 5000 + "}", "[]", ""])
def test_a_file_that_is_not_a_tokenizer_is_a_release_error(copied: Path, content: str) -> None:
    (copied / "tokenizer.json").write_text(content)
    with pytest.raises(ReleaseError, match="is not a tokenizer: "):
        Tokenizer(copied)


def test_a_panic_during_a_call_is_a_release_error(copied: Path) -> None:
    change(copied / "tokenizer.json", post_processor=WITHOUT_ITS_TOKEN)
    tokenizer = Tokenizer(copied)
    for call in (
        lambda: tokenizer.encode(["cat"]),
        lambda: tokenizer.encode(["cat", "dog"]),
        lambda: tokenizer.truncated("cat dog " * 9, 4),
    ):
        with pytest.raises(ReleaseError, match="the release's tokenizer failed: PanicException"):
            call()


def test_an_unknown_word_without_a_token_for_it_is_a_release_error(copied: Path) -> None:
    document = json.loads((copied / "tokenizer.json").read_text(encoding="utf-8"))
    change(copied / "tokenizer.json", model=document["model"] | {"unk_token": "zzz"})
    with pytest.raises(ReleaseError, match=r"the release's tokenizer failed: .*WordPiece error"):
        Tokenizer(copied).encode(["\u2603"])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interruptions_pass(interruption: type[BaseException]) -> None:
    with pytest.raises(interruption), library_errors(ValueError):
        raise interruption


GROWING = {"type": "Replace", "pattern": {"String": "a"}, "content": "b " * 32}


@pytest.mark.parametrize("normalizer", [GROWING, {"type": "NFKC"}])
def test_a_text_that_the_normalizer_makes_too_long_is_refused(copied: Path, normalizer: object) -> None:
    """A character becomes 64 here, and U+FDFA, a greeting, becomes 18 in NFKC."""
    change(copied / "tokenizer.json", normalizer=normalizer)
    tokenizer, text = Tokenizer(copied), ("a" if normalizer == GROWING else "\ufdfa") * 230_000
    says = r"a text of 230,000 characters has (14,720|4,140),000 after .*; at most 4,000,000 are taken"
    for encode in (
        lambda: tokenizer.encode([text]),
        lambda: tokenizer.encode(["cat", ("dog", text)]),
        lambda: tokenizer.truncated(text, 8),
        lambda: tokenizer.windows("cat", text, max_tokens=16, overlap=None),
    ):
        with pytest.raises(InputError, match=says):
            encode()
    assert len(tokenizer.encode(["dog " * 20_000])[0].ids) == 20_002
