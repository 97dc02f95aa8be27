"""The tokenizer's files of a release."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
import transformers
from distilforge.tokenizer import Tokenizer

from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder
from pipeline.release import tokenizer
from tests.conftest import tokenizer_checkpoint

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [
    *SPECIAL,
    *"abcdefghijklmnop",
    *(f"##{letter}" for letter in "abcdefghijklmnop"),
    "é",
    "É",
    "A",
    "好",
    ".",
    "cafe",
]
TEXTS = ["Cab, bed.", "café CAFÉ", "好 bad 好好", "nope [MASK] zzz", "", "é É a\u0301"]
ALL = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}

Write = Callable[..., CheckpointFolder]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(**settings)`: a folder with the tokenizer's four files, as transformers saves them."""

    def make(**settings: object) -> CheckpointFolder:
        folder = tmp_path / "checkpoint"
        folder.mkdir()
        (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
        made = transformers.DistilBertTokenizerFast(vocab_file=str(folder / "vocab.txt"), **settings)
        made.save_pretrained(folder)
        return CheckpointFolder(path=folder, weights=())

    return make


def released(checkpoint: CheckpointFolder, tmp_path: Path, vocab_size: int = len(PIECES)) -> Path:
    destination = tmp_path / "release"
    destination.mkdir()
    tokenizer.write(checkpoint, destination, vocab_size=vocab_size, longest=64)
    return destination


def ids(folder: Path) -> list[list[int]]:
    loaded = transformers.AutoTokenizer.from_pretrained(folder)
    return [loaded(text)["input_ids"] for text in TEXTS] + [loaded("cab", "bed")["input_ids"]]


def remove(checkpoint: CheckpointFolder, *names: str) -> None:
    for name in names:
        (checkpoint.path / name).unlink()


def test_files_that_are_there_are_copied_as_they_are(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    release = released(checkpoint, tmp_path)
    assert {path.name for path in release.iterdir()} == ALL
    for name in ALL:
        assert (release / name).read_bytes() == (checkpoint.path / name).read_bytes()


@pytest.mark.parametrize(
    "settings",
    [{}, {"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False}],
    ids=str,
)
def test_a_tokenizer_made_from_the_vocabulary_equals_transformers(
    settings: dict[str, object], write: Write, tmp_path: Path
) -> None:
    checkpoint = write(**settings)
    # transformers reads the settings of the slow tokenizer from here
    (checkpoint.path / "config.json").write_text('{"model_type": "distilbert"}')
    expected = ids(checkpoint.path)
    remove(checkpoint, "tokenizer.json")
    assert ids(released(checkpoint, tmp_path)) == expected


@pytest.mark.parametrize("settings", [None, {}, {"clean_up_tokenization_spaces": False}], ids=str)
def test_text_is_decoded_as_transformers_does_with_a_vocabulary(
    settings: dict[str, object] | None, tmp_path: Path
) -> None:
    checkpoint = tokenizer_checkpoint(tmp_path / "checkpoint")
    remove(checkpoint, "tokenizer.json", "special_tokens_map.json", "tokenizer_config.json")
    if settings is not None:
        (checkpoint.path / "tokenizer_config.json").write_text(json.dumps(settings))
    oracle = transformers.AutoTokenizer.from_pretrained(checkpoint.path)
    token_ids = oracle("don't")["input_ids"]
    ours = Tokenizer(released(checkpoint, tmp_path, vocab_size=200))
    expected = oracle.decode(token_ids, skip_special_tokens=True)
    assert ours.decode(token_ids, skip_special_tokens=True) == expected
    assert ("'t" in expected) == (settings is None or not settings)


def test_special_tokens_of_a_vocabulary_have_the_flags_of_the_configuration(
    write: Write, tmp_path: Path
) -> None:
    checkpoint = write()
    (checkpoint.path / "config.json").write_text('{"model_type": "distilbert"}')
    remove(checkpoint, "tokenizer.json", "special_tokens_map.json")
    mask = {"__type": "AddedToken", "content": "[MASK]", "lstrip": True, "normalized": False}
    (checkpoint.path / "tokenizer_config.json").write_text(json.dumps({"mask_token": mask}))
    text = "bed   [MASK] cab"
    expected = transformers.AutoTokenizer.from_pretrained(checkpoint.path)(text, return_offsets_mapping=True)
    made = tokenizers.Tokenizer.from_file(str(released(checkpoint, tmp_path) / "tokenizer.json")).encode(text)
    assert made.ids == expected["input_ids"]
    # The mask takes the spaces before it
    assert made.offsets == expected["offset_mapping"]
    assert (3, 12) in made.offsets


@pytest.mark.parametrize("tokenizer_class", ["DistilBertTokenizer", "BertTokenizerFast", None])
@pytest.mark.parametrize("changes", [{"do_lower_case": False}, {"strip_accents": False}, {}], ids=str)
def test_tokenizer_json_obeys_a_configuration_that_differs(
    tokenizer_class: str | None, changes: dict[str, object], write: Write, tmp_path: Path
) -> None:
    checkpoint = write()
    (checkpoint.path / "config.json").write_text('{"model_type": "distilbert"}')
    path = checkpoint.path / "tokenizer_config.json"
    values = json.loads(path.read_text()) | changes
    del values["tokenizer_class"]
    named = {} if tokenizer_class is None else {"tokenizer_class": tokenizer_class}
    path.write_text(json.dumps(values | named))
    expected = ids(checkpoint.path)
    plain = tokenizers.Tokenizer.from_file(str(released(checkpoint, tmp_path) / "tokenizer.json"))
    assert [plain.encode(text).ids for text in TEXTS] + [plain.encode("cab", "bed").ids] == expected


def configure(checkpoint: CheckpointFolder, **changes: object) -> None:
    """Change tokenizer_config.json of `checkpoint`, and write the config.json that AutoTokenizer reads."""
    (checkpoint.path / "config.json").write_text('{"model_type": "distilbert"}')
    path = checkpoint.path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("has_json", [True, False])
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("do_lower_case", 0, "has 0 for 'do_lower_case', which must be true or false"),
        ("do_lower_case", "false", "has \"false\" for 'do_lower_case', which must be true or false"),
        ("do_lower_case", None, "has null for 'do_lower_case', which must be true or false"),
        ("tokenize_chinese_chars", 0, "has 0 for 'tokenize_chinese_chars', which must be true or false"),
        (
            "tokenize_chinese_chars",
            None,
            "has null for 'tokenize_chinese_chars', which must be true or false",
        ),
        ("strip_accents", "true", "has \"true\" for 'strip_accents', which must be true, false or null"),
        ("strip_accents", 0, "has 0 for 'strip_accents', which must be true, false or null"),
    ],
)
def test_a_setting_that_is_not_true_or_false_is_refused(
    name: str, value: object, expected: str, has_json: bool, write: Write, tmp_path: Path
) -> None:
    checkpoint = write()
    configure(checkpoint, **{name: value})
    if not has_json:
        remove(checkpoint, "tokenizer.json")
    with pytest.raises(TypeError, match="cannot be converted to 'PyBool'"):
        ids(checkpoint.path)
    with pytest.raises(CheckpointError) as caught:
        released(checkpoint, tmp_path)
    assert caught.value.message == f"{checkpoint.path / 'tokenizer_config.json'} {expected}"
    assert f"or remove '{name}' if that is" in caught.value.hint


@pytest.mark.parametrize(
    ("saved", "changes"),
    [
        # They equal tokenizer.json, so that transformers changes nothing
        ({}, {"do_lower_case": 1, "tokenize_chinese_chars": 1.0}),
        ({"do_lower_case": False}, {"do_lower_case": 0}),
        ({}, {"strip_accents": None}),
        # This class does not read them
        ({}, {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": "false"}),
    ],
    ids=str,
)
def test_a_setting_that_transformers_takes_is_not_refused(
    saved: dict[str, object], changes: dict[str, object], write: Write, tmp_path: Path
) -> None:
    checkpoint = write(**saved)
    configure(checkpoint, **changes)
    expected = ids(checkpoint.path)
    release = released(checkpoint, tmp_path)
    plain = tokenizers.Tokenizer.from_file(str(release / "tokenizer.json"))
    assert [plain.encode(text).ids for text in TEXTS] + [plain.encode("cab", "bed").ids] == expected
    assert (release / "tokenizer.json").read_bytes() == (checkpoint.path / "tokenizer.json").read_bytes()


def test_a_bare_vocabulary_is_enough(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    expected = ids(checkpoint.path)
    remove(checkpoint, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    release = released(checkpoint, tmp_path)
    assert {path.name for path in release.iterdir()} == ALL
    assert ids(release) == expected
    assert transformers.AutoTokenizer.from_pretrained(release).model_max_length == 64


def test_what_is_missing_beside_tokenizer_json_is_made(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    expected = ids(checkpoint.path)
    remove(checkpoint, "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
    release = released(checkpoint, tmp_path)
    assert (release / "vocab.txt").read_text(encoding="utf-8").split() == PIECES
    assert json.loads((release / "special_tokens_map.json").read_text())["mask_token"] == "[MASK]"
    assert ids(release) == expected


def test_more_entries_than_embeddings_are_refused_with_both_numbers(write: Write, tmp_path: Path) -> None:
    entries = len(PIECES)
    with pytest.raises(
        CheckpointError, match=rf"has {entries} entries, the model only {entries - 1} embeddings"
    ):
        released(write(), tmp_path, vocab_size=entries - 1)


def test_ids_that_the_post_processor_puts_around_a_text_are_checked(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    path = checkpoint.path / "tokenizer.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["post_processor"] = {"type": "BertProcessing", "sep": ["[SEP]", 99_999], "cls": ["[CLS]", 2]}
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"gives a text the id 99999, and the model has \d+ embeddings"):
        released(checkpoint, tmp_path)


def test_an_added_token_counts_as_an_entry(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    loaded = transformers.AutoTokenizer.from_pretrained(checkpoint.path)
    loaded.add_tokens(["[NEW]"])
    loaded.save_pretrained(checkpoint.path)
    with pytest.raises(CheckpointError, match=f"has {len(PIECES) + 1} entries"):
        released(checkpoint, tmp_path)


def test_a_checkpoint_without_a_tokenizer_is_refused(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    remove(checkpoint, *ALL)
    with pytest.raises(CheckpointError, match=r"has no tokenizer: neither tokenizer.json nor vocab.txt"):
        released(checkpoint, tmp_path)


def test_a_damaged_tokenizer_is_refused(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    (checkpoint.path / "tokenizer.json").write_text('{"version": ')
    with pytest.raises(CheckpointError, match=r"tokenizer of .* is damaged"):
        released(checkpoint, tmp_path)


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_pointer_of_git_lfs_is_named(name: str, write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    (checkpoint.path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 2\n")
    with pytest.raises(CheckpointError, match=rf"{name} is not the file, but a pointer .*\n.*git lfs pull"):
        released(checkpoint, tmp_path)


def test_a_vocabulary_without_special_tokens_is_refused(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    remove(checkpoint, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    (checkpoint.path / "vocab.txt").write_text("[PAD]\n[UNK]\na\n")
    with pytest.raises(
        CheckpointError, match=r"checkpoint/vocab\.txt lacks the special tokens \[SEP\], \[CLS\], \[MASK\]"
    ):
        released(checkpoint, tmp_path)


def test_a_vocabulary_without_a_mask_is_enough_if_the_configuration_says_so(
    write: Write, tmp_path: Path
) -> None:
    checkpoint = write()
    remove(checkpoint, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    pieces = [piece for piece in PIECES if piece != "[MASK]"]
    (checkpoint.path / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"lacks the special tokens \[MASK\]") as refusal:
        released(checkpoint, tmp_path, len(pieces))
    assert '"mask_token": null' in refusal.value.hint
    (checkpoint.path / "tokenizer_config.json").write_text('{"mask_token": null}')
    (checkpoint.path / "config.json").write_text('{"model_type": "distilbert"}')
    (tmp_path / "release").rename(tmp_path / "refused")
    release = released(checkpoint, tmp_path, len(pieces))
    (release / "config.json").write_text('{"model_type": "distilbert"}')
    assert ids(release) == ids(checkpoint.path)


def changed(checkpoint: CheckpointFolder, **values: object) -> None:
    path = checkpoint.path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////wAAAAA="}},
            "is damaged: Panic",
        ),
        (
            {"normalizer": {"type": "Replace", "pattern": {"Regex": "^(a+)+$"}, "content": "b"}},
            r"regular expression '\^\(a\+\)\+\$'",
        ),
        (
            {"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}}
            | {"model": {"type": "WordLevel", "vocab": {"[CLS]": 2, "[SEP]": 3}, "unk_token": "zzz"}},
            "cannot be published: .*WordLevel error",
        ),
    ],
    ids=["a panic", "a pattern that runs away", "no token for unknown words"],
)
def test_a_tokenizer_that_fails_is_not_published(
    changes: dict[str, object], says: str, write: Write, tmp_path: Path
) -> None:
    checkpoint = write()
    changed(checkpoint, **changes)
    with pytest.raises(CheckpointError, match=says):
        released(checkpoint, tmp_path)


def test_long_words_that_wordpiece_would_split_are_not_published(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    model = json.loads((checkpoint.path / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    changed(checkpoint, model=model | {"max_input_chars_per_word": 1_000_000})
    with pytest.raises(CheckpointError, match="at most 256, found 1000000"):
        released(checkpoint, tmp_path)


def test_a_link_to_a_private_file_is_not_published(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    (tmp_path / "private").write_text("secret")
    remove(checkpoint, "vocab.txt")
    (checkpoint.path / "vocab.txt").symlink_to(tmp_path / "private")
    with pytest.raises(CheckpointError, match=r"vocab\.txt is a link that leads out"):
        released(checkpoint, tmp_path)
    assert list((tmp_path / "release").iterdir()) == []


def test_a_vocabulary_that_is_not_text_is_refused(write: Write, tmp_path: Path) -> None:
    checkpoint = write()
    remove(checkpoint, "tokenizer.json")
    (checkpoint.path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(CheckpointError, match="is not UTF-8: invalid start byte at byte 6"):
        released(checkpoint, tmp_path)
