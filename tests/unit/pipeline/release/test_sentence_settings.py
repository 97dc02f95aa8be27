"""Settings of sentence-transformers in the tokenizer's files of a release."""

import json
from pathlib import Path

import pytest
from distilforge.tokenizer import Tokenizer

from model_src.errors import CheckpointError
from model_src.folder import find
from pipeline.release import tokenizer
from tests.conftest import MakeCheckpoint
from tests.sentence_folders import add_modules, write


@pytest.fixture
def folder(make_checkpoint: MakeCheckpoint) -> Path:
    """A checkpoint whose tokenizer keeps upper case, which its vocabulary does not have."""
    folder = make_checkpoint("features", n_layers=1)
    values = json.loads((folder / "tokenizer.json").read_text())
    values["normalizer"]["lowercase"] = False
    write(folder / "tokenizer.json", values)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    write(folder / "tokenizer_config.json", settings | {"do_lower_case": False})
    return folder


def published(folder: Path, destination: Path) -> Tokenizer:
    destination.mkdir()
    files = find(folder)
    tokenizer.write(files, destination, vocab_size=10_000, longest=files.longest())
    return Tokenizer(destination)


def test_the_limit_the_lower_case_and_the_prompts_are_followed(folder: Path, tmp_path: Path) -> None:
    add_modules(
        folder,
        encoder={"max_seq_length": 16, "do_lower_case": True},
        settings={"prompts": {"query": "find: "}, "default_prompt_name": "query"},
    )
    made = published(folder, tmp_path / "release")
    assert made.max_tokens == 16
    assert made.encode(["MOVIE"])[0].tokens == ["[CLS]", "movie", "[SEP]"]
    assert made.prompts.default == "find: "


def test_without_settings_the_tokenizer_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    add_modules(folder, encoder={"max_seq_length": None, "do_lower_case": False})
    made = published(folder, tmp_path / "release")
    assert made.max_tokens == 64
    assert made.encode(["MOVIE"])[0].tokens == ["[CLS]", "[UNK]", "[SEP]"]
    assert made.prompts.texts == {}
    assert (tmp_path / "release" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_damaged_prompts_are_refused(folder: Path, tmp_path: Path) -> None:
    add_modules(folder, settings={"prompts": {"query": "find: "}, "default_prompt_name": "qery"})
    with pytest.raises(CheckpointError, match="default_prompt_name is 'qery'") as refusal:
        published(folder, tmp_path / "release")
    assert str(folder / "config_sentence_transformers.json") in refusal.value.message
    assert "correct the prompts" in refusal.value.hint
