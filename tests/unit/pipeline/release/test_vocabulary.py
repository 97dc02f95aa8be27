"""vocab.txt of a checkpoint without tokenizer.json."""

from pathlib import Path

import pytest

from model_src.errors import CheckpointError
from pipeline.release import tokenizer
from tests.conftest import VOCABULARY, tokenizer_checkpoint

SIZE = len(dict.fromkeys(VOCABULARY))


def test_more_entries_than_embeddings_are_refused_before_a_tokenizer_is_made(tmp_path: Path) -> None:
    """400,000 entries would take seconds."""
    checkpoint = tokenizer_checkpoint(tmp_path / "checkpoint")
    (checkpoint.path / "tokenizer.json").unlink()
    release = tmp_path / "release"
    release.mkdir()
    with pytest.raises(CheckpointError, match=rf"has {SIZE} entries, the model only {SIZE - 1} embeddings"):
        tokenizer.write(checkpoint, release, vocab_size=SIZE - 1, longest=64)
    assert not (release / "tokenizer.json").exists()


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tokenizer_checkpoint(tmp_path / "checkpoint")
    (checkpoint.path / "tokenizer.json").unlink()
    release = tmp_path / "release"
    release.mkdir()
    monkeypatch.setattr(tokenizer, "MOST_TOKENIZER_BYTES", 100)
    with pytest.raises(CheckpointError, match=r"vocab\.txt has more than"):
        tokenizer.write(checkpoint, release, vocab_size=SIZE, longest=64)
