"""A release has the token ids of transformers, or the comparison names the first text that differs."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import transformers

from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder
from model_src.sentence.modules import Pooling, SentenceModules
from pipeline.release import tokenizer
from tests.conftest import VOCABULARY, tokenizer_checkpoint
from validation.token_ids.compare import compare
from validation.token_ids.texts import MOST_TEXTS

LONGEST = 64
DATA = ("the good movie", ("the plot", "was not good"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> CheckpointFolder:
    return tokenizer_checkpoint(tmp_path / "checkpoint")


@pytest.fixture
def release(checkpoint: CheckpointFolder, tmp_path: Path) -> Path:
    return write_release(checkpoint, tmp_path / "release")


def write_release(checkpoint: CheckpointFolder, folder: Path) -> Path:
    folder.mkdir()
    tokenizer.write(checkpoint, folder, vocab_size=len(VOCABULARY) + 10, longest=LONGEST)
    return folder


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def refusal(release: Path, checkpoint: CheckpointFolder) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        compare(release, checkpoint, DATA, longest=LONGEST)
    assert "save_pretrained" in caught.value.hint
    return caught.value


def test_equal_tokenizers(release: Path, checkpoint: CheckpointFolder) -> None:
    comparison = compare(release, checkpoint, DATA, longest=LONGEST)
    assert comparison.oracle == f"transformers {transformers.__version__}"
    assert comparison.texts == MOST_TEXTS
    assert comparison.note == ""


def test_other_ids_are_shown_beside_those_of_transformers(
    release: Path, checkpoint: CheckpointFolder
) -> None:
    values = json.loads((release / "tokenizer.json").read_text(encoding="utf-8"))
    change(release / "tokenizer.json", normalizer=values["normalizer"] | {"lowercase": False})
    message = refusal(release, checkpoint).message
    shown = re.search(
        r"other token ids .* for '(?P<text>.*)'.*\n  release +(.*)\n  transformers +(.*)", message
    )
    assert shown is not None
    oracle = transformers.AutoTokenizer.from_pretrained(checkpoint.path)
    expected = oracle(shown["text"])["input_ids"] if len(shown["text"]) < 100 else []
    assert shown[2] != shown[3]
    assert set(shown[3].removesuffix(" ...").split()) <= {*map(str, expected)} or not expected


def test_an_added_token_that_the_release_lacks(checkpoint: CheckpointFolder, tmp_path: Path) -> None:
    release = write_release(checkpoint, tmp_path / "release")
    (checkpoint.path / "added_tokens.json").write_text(json.dumps({"<new>": len(dict.fromkeys(VOCABULARY))}))
    settings = json.loads((checkpoint.path / "tokenizer_config.json").read_text())
    del settings["added_tokens_decoder"]
    (checkpoint.path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert "<new>" in refusal(release, checkpoint).message


def test_the_other_side_is_cut_off(release: Path, checkpoint: CheckpointFolder) -> None:
    change(release / "tokenizer_config.json", truncation_side="left")
    assert f"if it is cut to {LONGEST} tokens" in refusal(release, checkpoint).message


def test_other_offsets(release: Path, checkpoint: CheckpointFolder) -> None:
    values = json.loads((release / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = [
        token | ({"lstrip": True} if token["content"] == "[MASK]" else {}) for token in values["added_tokens"]
    ]
    change(release / "tokenizer.json", added_tokens=tokens)
    assert "other token offsets" in refusal(release, checkpoint).message


def test_another_padding(release: Path, checkpoint: CheckpointFolder) -> None:
    change(release / "special_tokens_map.json", pad_token="[UNK]")
    message = refusal(release, checkpoint).message
    assert "another padding" in message
    assert "ends with 1, and transformers' with 0" in message


def test_without_transformers_nothing_is_compared(
    release: Path, checkpoint: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    comparison = compare(release, checkpoint, DATA, longest=LONGEST)
    assert (comparison.oracle, comparison.texts) == ("", 0)
    assert "transformers is not installed; pip install transformers==" in comparison.note


def test_a_tokenizer_that_transformers_does_not_load(release: Path, checkpoint: CheckpointFolder) -> None:
    change(checkpoint.path / "tokenizer_config.json", tokenizer_class="TokenizersBackend")
    comparison = compare(release, checkpoint, DATA, longest=LONGEST)
    assert "TokenizersBackend" in comparison.note
    assert not comparison.oracle


def test_a_short_model_is_compared_without_cuts(release: Path, checkpoint: CheckpointFolder) -> None:
    assert compare(release, checkpoint, DATA, longest=2).oracle


def test_paths_in_the_configuration_are_not_followed(
    release: Path, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    (tmp_path / "other.json").write_text("{}")
    change(checkpoint.path / "tokenizer_config.json", tokenizer_file=str(tmp_path / "other.json"))
    assert compare(release, checkpoint, DATA, longest=LONGEST).oracle


@pytest.mark.parametrize("lowercase", [True, False])
def test_sentence_transformers_lower_case(
    lowercase: bool, checkpoint: CheckpointFolder, tmp_path: Path
) -> None:
    change(checkpoint.path / "tokenizer_config.json", do_lower_case=False)
    modules = SentenceModules(
        modules=(Pooling(modes=("mean",)),),
        layer_names=(),
        max_seq_length=32,
        do_lower_case=lowercase,
        files=(),
        copies={},
        types=(),
    )
    sentence = replace(checkpoint, sentence=modules)
    release = write_release(sentence, tmp_path / "release")
    assert compare(release, sentence, DATA, longest=32).oracle
    if lowercase:
        refusal(release, checkpoint)
