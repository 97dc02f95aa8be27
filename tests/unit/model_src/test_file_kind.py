"""A file that is not what its name says is called what it is."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from model_src.checkpoint import load_checkpoint
from model_src.errors import CheckpointError
from tests.conftest import MakeCheckpoint

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32\nsize 2\n"
PAGE = b"\n<!DOCTYPE html>\n<html><body>404</body></html>"
SHARD = "model-00001-of-00001.safetensors"


@pytest.fixture
def folder(make_checkpoint: MakeCheckpoint) -> Path:
    return make_checkpoint("sequence_classification", tokenizer=False)


def refusal(folder: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    return caught.value


def replaced(folder: Path, name: str, content: bytes) -> CheckpointError:
    """The refusal of `folder` with `content` as the only weights, or as config.json."""
    if name != "config.json":
        (folder / "model.safetensors").unlink()
    if name == SHARD:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": SHARD}}))
    (folder / name).write_bytes(content)
    return refusal(folder)


@pytest.mark.parametrize(
    "name",
    ["model.safetensors", SHARD, "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "config.json"],
)
@pytest.mark.parametrize(
    ("content", "says", "hint"),
    [
        (POINTER, "a pointer of Git LFS", "`git lfs pull`"),
        (PAGE, "is a web page", "download the file itself"),
    ],
    ids=["pointer", "page"],
)
def test_a_stand_in_is_named(name: str, content: bytes, says: str, hint: str, folder: Path) -> None:
    error = replaced(folder, name, content)
    assert f"{folder / name} is " in error.message
    assert says in error.message
    assert hint in error.hint


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("readme.txt", "a text")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\0" * 5000, "is not a PyTorch file"),
        (b"choice,label\none,2\n", "is not a PyTorch file"),
        (b"GGUF\3\0\0\0", "is not a PyTorch file"),
        (archive(), "is not a PyTorch file"),
        (pickle.dumps({"weight": 1.0}), "is not a PyTorch file"),
        (safetensors.torch.save({"weight": torch.zeros(2)}), "is not a PyTorch file, but safetensors"),
    ],
    ids=["zeros", "text", "GGUF", "zip", "numbers", "safetensors"],
)
def test_weights_that_are_no_pickle_are_not_called_untrusted(content: bytes, says: str, folder: Path) -> None:
    error = replaced(folder, "pytorch_model.bin", content)
    assert says in error.message
    assert "weights_only" not in str(error)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_of_other_objects_is_not_trusted(protocol: int, folder: Path) -> None:
    error = replaced(folder, "pytorch_model.bin", pickle.dumps({"w": np.zeros(2)}, protocol=protocol))
    assert "is not trusted" in error.message


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pytorch_file_that_was_cut_is_damaged(zipped: bool, folder: Path) -> None:
    content = io.BytesIO()
    torch.save({"weight": torch.zeros(2000)}, content, _use_new_zipfile_serialization=zipped)
    cut = content.getvalue()[:4000]
    assert "is damaged" in replaced(folder, "pytorch_model.bin", cut).message


def test_an_empty_file_ends_too_early(folder: Path) -> None:
    assert "is damaged: it ends too early" in replaced(folder, "pytorch_model.bin", b"").message


def test_a_pytorch_file_named_safetensors_is_named(folder: Path) -> None:
    content = io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, content)
    error = replaced(folder, "model.safetensors", content.getvalue())
    assert "is not safetensors, but a PyTorch file" in error.message
