"""Conversion from BERT keeps a tokenizer that is not BERT's own, and reads the names of wrapped models."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from model_src.checkpoint import load_checkpoint
from model_src.convert import convert, convert_bert
from model_src.errors import CheckpointError


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
    )
    folder = tmp_path / "bert"
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("original", "converted"),
    [
        ("BertTokenizer", "DistilBertTokenizer"),
        (None, "DistilBertTokenizer"),
        ("BertJapaneseTokenizer", "BertJapaneseTokenizer"),
    ],
)
@pytest.mark.parametrize("place", ["tokenizer_config.json", "config.json"])
def test_the_class_of_the_tokenizer(
    bert: Path, tmp_path: Path, place: str, original: str | None, converted: str
) -> None:
    path = bert / place
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(values | {"tokenizer_class": original}))
    convert_bert(bert, tmp_path / "distilbert")
    settings = json.loads((tmp_path / "distilbert" / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == converted


def test_settings_of_the_tokenizer_may_hold_half_of_a_character(bert: Path, tmp_path: Path) -> None:
    path = bert / "tokenizer_config.json"
    path.write_text(json.dumps({"note": "half \ud800"}), encoding="utf-8")
    convert_bert(bert, tmp_path / "distilbert")
    written = json.loads((tmp_path / "distilbert" / path.name).read_text(encoding="utf-8"))
    assert (written["note"], written["tokenizer_class"]) == ("half \ud800", "DistilBertTokenizer")


def test_names_of_a_wrapped_model(bert: Path, tmp_path: Path) -> None:
    expected = load_checkpoint(convert_bert(bert, tmp_path / "first")).model.state_dict()
    weights = {f"module.bert.{name}": value for name, value in load_file(bert / "model.safetensors").items()}
    save_file(weights, bert / "model.safetensors", metadata={"format": "pt"})
    state = load_checkpoint(convert_bert(bert, tmp_path / "second")).model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


def test_a_name_that_no_folder_can_have(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: File name too long"):
        convert("x" * 5_000, tmp_path / "converted")


def test_a_destination_that_cannot_be_written(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"/file' cannot be written"):
        convert(str(bert), tmp_path / "file")
