"""The tokenizer of a release is the one that AutoTokenizer of transformers loads, or the checkpoint is refused."""

import json
from pathlib import Path

import pytest
import tokenizers
import transformers
from distilforge.tokenizer import Tokenizer
from tokenizers import decoders, models, pre_tokenizers

from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder
from pipeline.release import tokenizer
from tests.conftest import VOCABULARY, tokenizer_checkpoint

SIZE = 300
TEXTS = (
    "The cat, the DOG and caf\u00e9.",
    "hotel<new>movie <new> <NEW> x[SEP]y",
    "a  <e1> cat</e1>. [MASK]<e1>",
    "\u597d good\u597d \u0301e\u0301",
    "",
)
WORD_PIECE = ("DistilBert", "Bert", "ConvBert", "Electra", "LayoutLM", "Lxmert", "MobileBert", "SqueezeBert")


@pytest.fixture
def checkpoint(tmp_path: Path) -> CheckpointFolder:
    return tokenizer_checkpoint(tmp_path / "checkpoint")


def change(path: Path, *removed: str, **values: object) -> None:
    document = (json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}) | values
    kept = {name: value for name, value in document.items() if name not in removed}
    path.write_text(json.dumps(kept), encoding="utf-8")


def check_as_transformers(checkpoint: CheckpointFolder, tmp_path: Path) -> Path:
    """Compare ids, special tokens and limits of the release with transformers', and return the release's folder."""
    oracle = transformers.AutoTokenizer.from_pretrained(checkpoint.path)
    release = tmp_path / "release"
    release.mkdir()
    tokenizer.write(checkpoint, release, vocab_size=SIZE, longest=64)
    ours = Tokenizer(release)
    (release / "config.json").write_bytes(checkpoint.config.read_bytes())
    again = transformers.AutoTokenizer.from_pretrained(release)
    for text in TEXTS:
        expected = oracle(text)["input_ids"]
        assert ours.encode([text])[0].ids == expected
        assert again(text)["input_ids"] == expected
        for skip in (True, False):
            assert ours.decode(expected, skip_special_tokens=skip) == oracle.decode(
                expected, skip_special_tokens=skip
            )
        short = oracle(text, truncation=True, max_length=5)["input_ids"]
        assert ours.truncated(text, 5).ids == short
    for role in ("pad", "unk", "cls", "sep", "mask"):
        assert ours.special_id(role) == getattr(oracle, f"{role}_token_id")
    assert ours.max_tokens == min(oracle.model_max_length, 1 << 30)
    return release


@pytest.mark.parametrize("model", WORD_PIECE)
def test_wordpiece_classes(model: str, checkpoint: CheckpointFolder, tmp_path: Path) -> None:
    settings = checkpoint.path / "tokenizer_config.json"
    change(settings, tokenizer_class=f"{model}Tokenizer", do_lower_case=False, strip_accents=True)
    check_as_transformers(checkpoint, tmp_path)


@pytest.mark.parametrize("place", ["tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "XLMRobertaTokenizerFast"])
def test_classes_that_take_tokenizer_json_as_it_is(
    place: str, name: str, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    change(checkpoint.path / "tokenizer_config.json", "tokenizer_class", do_lower_case=False)
    change(checkpoint.path / place, tokenizer_class=name)
    release = check_as_transformers(checkpoint, tmp_path)
    assert "the" in Tokenizer(release).encode(["The cat"])[0].tokens


@pytest.mark.parametrize(
    "configured", [{}, *({"add_prefix_space": value} for value in (True, False, 1, 0, "true", None))], ids=str
)
@pytest.mark.parametrize("saved", [True, False])
def test_the_space_before_a_text(
    saved: bool, configured: dict[str, object], checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    pieces = (*special, *sorted(pre_tokenizers.ByteLevel.alphabet()))
    made = tokenizers.Tokenizer(models.BPE({piece: index for index, piece in enumerate(pieces)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=saved)
    made.decoder = decoders.ByteLevel()
    made.save(str(checkpoint.path / "tokenizer.json"))
    settings = checkpoint.path / "tokenizer_config.json"
    change(settings, "added_tokens_decoder", tokenizer_class="PreTrainedTokenizerFast", **configured)
    check_as_transformers(checkpoint, tmp_path)


def test_the_class_of_transformers_5_takes_tokenizer_json_as_it_is(
    checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    change(
        checkpoint.path / "tokenizer_config.json", tokenizer_class="TokenizersBackend", do_lower_case=False
    )
    release = tmp_path / "release"
    release.mkdir()
    tokenizer.write(checkpoint, release, vocab_size=SIZE, longest=64)
    assert (release / "tokenizer.json").read_bytes() == (checkpoint.path / "tokenizer.json").read_bytes()


def write_words(checkpoint: CheckpointFolder, *pieces: str, **settings: object) -> tokenizers.Tokenizer:
    """Make tokenizer.json of whole words the only tokenizer file besides tokenizer_config.json, with `settings`."""
    made = tokenizers.Tokenizer(
        models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token=pieces[0])
    )
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(checkpoint.path / "tokenizer.json"))
    for path in checkpoint.tokenizer:
        if path.name != "tokenizer.json":
            path.unlink()
    change(checkpoint.path / "tokenizer_config.json", **settings)
    return made


@pytest.mark.parametrize("special", [None, {}, {"pad_token": "<pad>"}], ids=str)
def test_xlm_robertas_special_tokens_need_not_be_named(
    special: dict[str, object] | None, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    pieces = ("<unk>", "<s>", "<pad>", "</s>", "<mask>", "cat,")
    write_words(checkpoint, *pieces, tokenizer_class="XLMRobertaTokenizer")
    if special is not None:
        change(checkpoint.path / "special_tokens_map.json", **special)
    check_as_transformers(checkpoint, tmp_path)


@pytest.mark.parametrize("special", [None, {"unk_token": "<unk>"}], ids=str)
def test_the_pad_token_may_be_that_of_the_padding_in_tokenizer_json(
    special: dict[str, object] | None, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    named = {"unk_token": "<unk>", "sep_token": "</s>", "cls_token": "<s>", "mask_token": "<m>"}
    made = write_words(
        checkpoint, *named.values(), "<nil>", tokenizer_class="PreTrainedTokenizerFast", **named
    )
    made.enable_padding(pad_id=4, pad_token="<nil>", length=32)
    made.save(str(checkpoint.path / "tokenizer.json"))
    if special is not None:
        change(checkpoint.path / "special_tokens_map.json", **special)
    check_as_transformers(checkpoint, tmp_path)


def test_a_class_without_special_tokens_is_not_given_some(
    checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    write_words(
        checkpoint, "[UNK]", "[PAD]", "[MASK]", tokenizer_class="PreTrainedTokenizerFast", pad_token="[PAD]"
    )
    release = tmp_path / "release"
    release.mkdir()
    tokenizer.write(checkpoint, release, vocab_size=SIZE, longest=64)
    (release / "config.json").write_bytes(checkpoint.config.read_bytes())
    again = transformers.AutoTokenizer.from_pretrained(release)
    assert again.special_tokens_map == {"pad_token": "[PAD]"}
    # One word, since [MASK] is no special token
    assert again("x[MASK]y")["input_ids"] == Tokenizer(release).encode(["x[MASK]y"])[0].ids == [0]


def test_a_tokenizer_that_cannot_pad_is_refused(checkpoint: CheckpointFolder, tmp_path: Path) -> None:
    write_words(checkpoint, "<unk>", tokenizer_class="PreTrainedTokenizerFast")
    with pytest.raises(CheckpointError, match="has no pad token") as refusal:
        tokenizer.write(checkpoint, tmp_path, vocab_size=SIZE, longest=64)
    assert "pad_token" in refusal.value.hint


def test_a_side_that_is_none_is_refused_by_the_checkpoints_file(
    checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    settings = checkpoint.path / "tokenizer_config.json"
    change(settings, truncation_side="Left")
    with pytest.raises(CheckpointError, match="truncation_side 'Left'") as refusal:
        tokenizer.write(checkpoint, tmp_path, vocab_size=SIZE, longest=64)
    assert str(settings) in refusal.value.message
    assert "correct tokenizer_config.json" in refusal.value.hint


@pytest.mark.parametrize("has_tokenizer_json", [True, False])
@pytest.mark.parametrize(
    "tokens",
    [
        {"added_tokens.json": {"<new>": len(VOCABULARY), "<e1>": len(VOCABULARY) + 1}},
        {
            "added_tokens.json": {"<new>": len(VOCABULARY), "<e1>": len(VOCABULARY) + 1},
            "special_tokens_map.json": {"additional_special_tokens": ["<e1>", "</e1>"]},
        },
        {
            "special_tokens_map.json": {
                "additional_special_tokens": ["<new>", {"content": "<e1>", "lstrip": True}]
            }
        },
        {"tokenizer_config.json": {"additional_special_tokens": ["<new>"]}},
    ],
    ids=str,
)
def test_added_tokens_of_older_files(
    tokens: dict[str, dict[str, object]],
    has_tokenizer_json: bool,
    checkpoint: CheckpointFolder,
    tmp_path: Path,
) -> None:
    change(checkpoint.path / "tokenizer_config.json", "added_tokens_decoder")
    for name, values in tokens.items():
        change(checkpoint.path / name, **values)
    if not has_tokenizer_json:
        (checkpoint.path / "tokenizer.json").unlink()
    check_as_transformers(checkpoint, tmp_path)


def test_a_special_token_that_only_the_special_tokens_map_has(
    checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    change(checkpoint.path / "tokenizer_config.json", "added_tokens_decoder")
    change(checkpoint.path / "special_tokens_map.json", mask_token="<new>")
    check_as_transformers(checkpoint, tmp_path)


@pytest.mark.parametrize("has_tokenizer_json", [True, False])
def test_added_tokens_of_the_configuration(
    has_tokenizer_json: bool, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    settings = checkpoint.path / "tokenizer_config.json"
    decoder = json.loads(settings.read_text())["added_tokens_decoder"]
    entries = max(
        tokenizers.Tokenizer.from_file(str(checkpoint.path / "tokenizer.json")).get_vocab().values()
    )
    flags = {"single_word": False, "lstrip": True, "rstrip": True, "normalized": False, "special": False}
    decoder |= {
        str(entries + 2): {"content": "<e1>", **flags},
        str(entries + 1): {"content": "<new>", **flags},
    }
    change(settings, added_tokens_decoder=decoder, additional_special_tokens=["</e1>"])
    # transformers ignores both files, since tokenizer_config.json has added_tokens_decoder
    change(checkpoint.path / "special_tokens_map.json", mask_token="cat")
    change(checkpoint.path / "added_tokens.json", dog=7)
    if not has_tokenizer_json:
        (checkpoint.path / "tokenizer.json").unlink()
    check_as_transformers(checkpoint, tmp_path)


@pytest.mark.parametrize(
    "settings", [{"truncation_side": "left"}, {"model_max_length": 9}, {"padding_side": "left"}], ids=str
)
def test_sides_and_limits(settings: dict[str, object], checkpoint: CheckpointFolder, tmp_path: Path) -> None:
    change(checkpoint.path / "tokenizer_config.json", **settings)
    check_as_transformers(checkpoint, tmp_path)


def test_padding_on_the_left_is_not_followed_and_remarked(checkpoint: CheckpointFolder) -> None:
    assert tokenizer.remarks(checkpoint) == ()
    change(checkpoint.path / "tokenizer_config.json", padding_side="left")
    assert "padding_side is 'left'; a release pads on the right" in tokenizer.remarks(checkpoint)[0]


@pytest.mark.parametrize("name", ["BertJapaneseTokenizer", "RobertaTokenizer", "MPNetTokenizer"])
@pytest.mark.parametrize("place", ["tokenizer_config.json", "config.json"])
def test_a_class_that_was_not_compared_is_refused_with_its_name(
    name: str, place: str, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    change(checkpoint.path / "tokenizer_config.json", "tokenizer_class")
    change(checkpoint.path / place, tokenizer_class=name)
    with pytest.raises(
        CheckpointError, match=rf"{place} names .* '{name}', which was not compared with"
    ) as refusal:
        tokenizer.write(checkpoint, tmp_path, vocab_size=SIZE, longest=64)
    assert "PreTrainedTokenizerFast" in refusal.value.hint


@pytest.mark.parametrize(
    "auto_map", [{"AutoTokenizer": ["own.KoBertTokenizer", None]}, ["own.KoBertTokenizer", None]]
)
def test_code_in_the_checkpoint_is_refused_with_its_name(
    auto_map: object, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    change(checkpoint.path / "tokenizer_config.json", auto_map=auto_map)
    with pytest.raises(CheckpointError, match=r"auto_map names 'own\.KoBertTokenizer'"):
        tokenizer.write(checkpoint, tmp_path, vocab_size=SIZE, longest=64)


def test_another_file_in_the_place_of_tokenizer_json_is_refused(
    checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    settings = checkpoint.path / "tokenizer_config.json"
    change(settings, fast_tokenizer_files=["tokenizer.json"])
    check_as_transformers(checkpoint, tmp_path)
    change(settings, fast_tokenizer_files=["tokenizer.json", "tokenizer.4.0.0.json"])
    with pytest.raises(CheckpointError, match=r"names 'tokenizer\.4\.0\.0\.json' in fast_tokenizer_files"):
        tokenizer.write(checkpoint, tmp_path, vocab_size=SIZE, longest=64)


def test_a_class_that_needs_tokenizer_json_is_not_made_from_the_vocabulary(
    checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    change(checkpoint.path / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    (checkpoint.path / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        tokenizer.write(checkpoint, tmp_path, vocab_size=SIZE, longest=64)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [({"x": {"content": "a"}}, "the id 'x'"), ({"5": {"text": "a"}}, "an object with a content")],
)
def test_an_added_token_that_is_not_valid_is_refused(
    decoder: dict[str, object], message: str, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    change(checkpoint.path / "tokenizer_config.json", added_tokens_decoder=decoder)
    with pytest.raises(CheckpointError, match=message):
        tokenizer.write(checkpoint, tmp_path, vocab_size=SIZE, longest=64)
