"""A checkpoint's files: links stay inside the checkpoint or the hub's cache, and JSON has its limits."""

import json
from pathlib import Path

import pytest

from model_src import folder, json_file, json_text
from model_src.errors import CheckpointError

SECRET = "a private file"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint"
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "distilbert"}')
    (path / "vocab.txt").write_text("[PAD]\n")
    (path / "model.safetensors").write_bytes(b"")
    return path


@pytest.fixture
def private(tmp_path: Path) -> Path:
    path = tmp_path / "private"
    path.write_text(SECRET)
    return path


def link(path: Path, target: Path | str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize(
    "name", [folder.CONFIG, *folder.TOKENIZER_FILES, *folder.SINGLE_FILES, *folder.INDEX_FILES]
)
def test_a_link_that_leads_out_is_refused_by_name(name: str, checkpoint: Path, private: Path) -> None:
    link(checkpoint / name, private)
    with pytest.raises(CheckpointError, match=f"{name} is a link that leads out of the checkpoint") as caught:
        folder.find(checkpoint)
    assert SECRET not in str(caught.value)
    assert "cp -rL" in caught.value.hint


def test_a_relative_link_a_chain_and_a_linked_folder_are_refused(checkpoint: Path, private: Path) -> None:
    for target in ("../private", "chain", "linked/private"):
        link(checkpoint / "chain", "../private")
        link(checkpoint / "linked", "..")
        link(checkpoint / "vocab.txt", target)
        with pytest.raises(CheckpointError, match=r"vocab\.txt is a link"):
            folder.find(checkpoint)


def test_a_link_that_is_made_after_the_folder_was_opened_is_refused(checkpoint: Path, private: Path) -> None:
    files = folder.find(checkpoint)
    link(checkpoint / "vocab.txt", private)
    with pytest.raises(CheckpointError, match=r"vocab\.txt is a link"):
        _ = files.tokenizer


def test_a_shard_that_leads_out_is_refused(checkpoint: Path, private: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    index = {"weight_map": {"weight": "shard.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    link(checkpoint / "shard.safetensors", private)
    with pytest.raises(CheckpointError, match=r"shard\.safetensors is a link"):
        folder.find(checkpoint)


def test_links_inside_the_checkpoint_are_read(checkpoint: Path) -> None:
    # Kubernetes mounts a volume's files as links to ..data, which is a link to a folder with a date
    dated = checkpoint / "..2026_01_01"
    dated.mkdir()
    (checkpoint / "vocab.txt").rename(dated / "vocab.txt")
    link(checkpoint / "..data", dated.name)
    link(checkpoint / "vocab.txt", "..data/vocab.txt")
    assert folder.find(checkpoint).tokenizer == (checkpoint / "vocab.txt",)


def test_a_checkpoint_that_is_itself_a_link_is_read(checkpoint: Path, tmp_path: Path) -> None:
    link(tmp_path / "named", checkpoint)
    assert folder.find(tmp_path / "named").config == tmp_path / "named" / "config.json"


def in_hub_cache(checkpoint: Path, model: str) -> Path:
    """The files of `checkpoint` as a snapshot in the hub's cache, whose files are links to blobs."""
    cached = checkpoint.parent / model
    snapshot = cached / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    checkpoint.rename(cached / "blobs")
    for path in (cached / "blobs").iterdir():
        link(snapshot / path.name, f"../../blobs/{path.name}")
    return snapshot


def test_the_blobs_of_the_hub_cache_are_read(checkpoint: Path) -> None:
    snapshot = in_hub_cache(checkpoint, "models--someone--model")
    assert folder.find(snapshot).weights == (snapshot / "model.safetensors",)


def test_blobs_of_another_folder_are_refused(checkpoint: Path) -> None:
    snapshot = in_hub_cache(checkpoint, "not-the-hub")
    with pytest.raises(CheckpointError, match="is a link that leads out"):
        folder.find(snapshot)


def test_a_blob_that_leads_out_of_the_cache_is_refused(checkpoint: Path, private: Path) -> None:
    snapshot = in_hub_cache(checkpoint, "models--someone--model")
    link(snapshot / "vocab.txt", f"../../../{private.name}")
    with pytest.raises(CheckpointError, match=r"vocab\.txt is a link"):
        folder.find(snapshot)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"a":' * 100_000, "nested deeper than 64 levels"),
        ('{"a":' * 70 + "1" + "}" * 70, "nested deeper than 64 levels"),
        ('{"dim": ' + "1" * 5000 + "}", "is not valid JSON"),
        ('{"dim": ', "is not valid JSON"),
        ("[]", "must contain a JSON object, found list"),
    ],
    ids=["deep and cut", "deep", "5,000 digits", "cut", "a list"],
)
def test_json_that_cannot_be_read(content: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=problem):
        json_file.read_json(path)


def test_json_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(json_file.MOST_JSON_BYTES + 1)
    with pytest.raises(CheckpointError, match="more than 16 MiB"):
        json_file.read_json(path)
    with path.open("wb") as file:
        file.truncate(json_file.MOST_TOKENIZER_BYTES + 1)
    with pytest.raises(CheckpointError, match="more than 64 MiB"):
        json_file.read_json(path, most_bytes=json_file.MOST_TOKENIZER_BYTES)


def test_json_with_very_many_values_is_refused(tmp_path: Path) -> None:
    """An empty object has two bytes in the file, and many in memory."""
    path = tmp_path / "config_sentence_transformers.json"
    path.write_text('{"prompts": [' + "{}," * json_text.MOST_VALUES + "{}]}")
    with pytest.raises(CheckpointError, match="more than 2,000,000 values"):
        json_file.read_json(path)


def test_a_name_that_no_file_can_have(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "a" * 300}}))
    with pytest.raises(CheckpointError, match=r"aaa.* cannot be read: File name too long"):
        folder.find(checkpoint)
    with pytest.raises(CheckpointError, match="cannot be read: File name too long"):
        folder.find("a" * 300)
