"""TensorFlow's and Flax's checkpoints: the answers of transformers' classes, and the refusal of hostile files."""

import gzip
import json
import shutil
from pathlib import Path

import h5py
import msgpack
import numpy as np
import pytest
import torch

from model_src import flax_file, keras_file
from model_src.checkpoint import load_checkpoint
from model_src.convert import convert
from model_src.errors import CheckpointError
from model_src.framework_names import in_pytorch
from tests.conftest import TRANSFORMERS_HEADS

FIXTURES = Path(__file__).parents[2] / "framework_checkpoints"
FILES = {"tf": "tf_model.h5", "flax": "flax_model.msgpack"}

# Where the framework's float32 is more than 5e-7 of the largest output away from the same model in float64: Flax's
# masked language model is 1.08e-6 away, where outputs reach 2.11
ROUNDING = {("masked_lm", "flax"): 5.2e-7}

every_file = pytest.mark.parametrize("framework", FILES)


def unpack(source: Path, target: Path) -> None:
    target.write_bytes(gzip.decompress(source.read_bytes()))


def checkpoint(head: str, framework: str, folder: Path) -> Path:
    folder.mkdir()
    shutil.copyfile(FIXTURES / head / "config.json", folder / "config.json")
    unpack(FIXTURES / head / f"{FILES[framework]}.gz", folder / FILES[framework])
    return folder


def same_weights(one: Path, other: Path) -> bool:
    first, second = (load_checkpoint(folder).model.state_dict() for folder in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@every_file
@pytest.mark.parametrize("head", TRANSFORMERS_HEADS)
def test_weights_and_answers_are_those_of_the_framework(head: str, framework: str, tmp_path: Path) -> None:
    folder = checkpoint(head, framework, tmp_path / "folder")
    assert same_weights(folder, FIXTURES / head)
    expected = np.load(FIXTURES / head / "expected.npz")
    # In float64, so that the difference is the framework's own rounding, the same on every machine
    model = load_checkpoint(folder, attention="eager").model.double()
    with torch.no_grad():
        outputs = model(
            torch.from_numpy(expected["input_ids"]).long(), torch.from_numpy(expected["attention_mask"])
        )
    mask = expected["attention_mask"].astype(bool)
    for name, value in zip(model.outputs, outputs, strict=True):
        wanted, actual = expected[f"{framework}_{name}"], value.numpy()
        if wanted.shape[1:2] == mask.shape[1:]:
            wanted, actual = wanted[mask], actual[mask]
        limit = ROUNDING.get((head, framework), 5e-7)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=limit * max(1, np.abs(wanted).max()))


def test_shards_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copyfile(FIXTURES / "sequence_classification" / "config.json", folder / "config.json")
    for path in (FIXTURES / "shards").glob("tf_model*"):
        unpack(path, folder / path.name.removesuffix(".gz"))
    assert len(list(folder.glob("*.h5"))) > 1
    assert same_weights(folder, FIXTURES / "sequence_classification")


@pytest.mark.parametrize("framework", ["tf", "flax"])
def test_safetensors_of_other_frameworks_are_read_by_their_format(framework: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copyfile(FIXTURES / "sequence_classification" / "config.json", folder / "config.json")
    unpack(FIXTURES / "shards" / f"{framework}.safetensors.gz", folder / "model.safetensors")
    assert same_weights(folder, FIXTURES / "sequence_classification")


@every_file
def test_convert_writes_weights_for_pytorch(framework: str, tmp_path: Path) -> None:
    folder = checkpoint("masked_lm", framework, tmp_path / "folder")
    made = convert(str(folder), tmp_path / "made")
    assert (made / "model.safetensors").is_file()
    assert same_weights(made, FIXTURES / "masked_lm")


def test_sinusoids_that_flax_computes_are_made(tmp_path: Path) -> None:
    folder = checkpoint("features", "flax", tmp_path / "folder")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"sinusoidal_pos_embds": True}))
    tree = msgpack.unpackb((folder / "flax_model.msgpack").read_bytes())
    del tree["embeddings"]["position_embeddings"]
    (folder / "flax_model.msgpack").write_bytes(msgpack.packb(tree))
    loaded = load_checkpoint(folder)
    assert loaded.model.state_dict()["distilbert.embeddings.position_embeddings.weight"][0, 1] == 1
    assert any("sinusoids are used" in remark for remark in loaded.remarks)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "distilbert/transformer/layer_._1/ffn/lin1/kernel:0",
            ("distilbert.transformer.layer.1.ffn.lin1.weight", True),
        ),
        ("distilbert/embeddings/LayerNorm/gamma:0", ("distilbert.embeddings.LayerNorm.weight", False)),
        (
            "distilbert/embeddings/position_embeddings/embeddings:0",
            ("distilbert.embeddings.position_embeddings.weight", False),
        ),
        ("transformer/layer/0/sa_layer_norm/scale", ("transformer.layer.0.sa_layer_norm.weight", False)),
        ("vocab_projector/bias", ("vocab_projector.bias", False)),
    ],
)
def test_names(name: str, expected: tuple[str, bool]) -> None:
    assert in_pytorch(name) == expected
    assert in_pytorch(name.replace("/", ".")) == expected


def h5(path: Path) -> h5py.File:
    return h5py.File(path, "w")


def test_a_link_in_hdf5_is_refused(tmp_path: Path) -> None:
    with h5(tmp_path / "secret.h5") as file:
        file["weight"] = np.ones(3, np.float32)
    with h5(tmp_path / "tf_model.h5") as file:
        file["weight"] = h5py.ExternalLink("secret.h5", "/weight")
    with pytest.raises(CheckpointError, match=r"weight in .*tf_model\.h5 is a link"):
        keras_file.read(tmp_path / "tf_model.h5")


def test_hdf5_data_in_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"a private file")
    with h5(tmp_path / "tf_model.h5") as file:
        file.create_dataset("outside", (3,), np.float32, external=[(str(tmp_path / "secret"), 0, 12)])
    with pytest.raises(CheckpointError, match=r"outside in .* is stored in another file"):
        keras_file.read(tmp_path / "tf_model.h5")
    layout = h5py.VirtualLayout((3,), np.float32)
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "weight", shape=(3,))
    with h5(tmp_path / "tf_model.h5") as file:
        file.create_virtual_dataset("virtual", layout)
    with pytest.raises(CheckpointError, match=r"virtual in .* is stored in another file"):
        keras_file.read(tmp_path / "tf_model.h5")


def test_hdf5_that_unpacks_to_much_more_is_refused(tmp_path: Path) -> None:
    with h5(tmp_path / "tf_model.h5") as file:
        file.create_dataset("weight", (1 << 32,), np.float32, chunks=(1 << 20,), compression="gzip")
    with pytest.raises(CheckpointError, match=f"{4 << 32} bytes"):
        keras_file.read(tmp_path / "tf_model.h5")


@pytest.mark.parametrize("levels", [20, 40])
def test_hdf5_with_endlessly_many_names_is_refused(levels: int, tmp_path: Path) -> None:
    """Each group is in the next one twice, so that the first one has 2^levels names."""
    with h5(tmp_path / "tf_model.h5") as file:
        group = file.create_group("0")
        for level in range(1, levels):
            outer = file.create_group(str(level))
            outer["a"] = outer["b"] = group
            group = outer
    with pytest.raises(CheckpointError, match=r"more than (10,000 groups and datasets|32 levels)"):
        keras_file.read(tmp_path / "tf_model.h5")


def test_a_circle_in_hdf5_is_refused(tmp_path: Path) -> None:
    with h5(tmp_path / "tf_model.h5") as file:
        group = file.create_group("group")
        group["again"] = group
    with pytest.raises(CheckpointError, match="more than 32 levels"):
        keras_file.read(tmp_path / "tf_model.h5")


def test_hdf5_of_other_types_is_refused(tmp_path: Path) -> None:
    with h5(tmp_path / "tf_model.h5") as file:
        file["weight"] = np.ones(300, np.int8)
    with pytest.raises(CheckpointError, match=r"weight in .* has the type int8"):
        keras_file.read(tmp_path / "tf_model.h5")


def array(shape: tuple[int, ...], dtype: str, data: bytes, code: int = 1) -> msgpack.ExtType:
    return msgpack.ExtType(code, msgpack.packb((shape, dtype, data)))


def test_bfloat16_of_flax_is_read(tmp_path: Path) -> None:
    values = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    data = values.view(torch.int16).numpy().tobytes()
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes(msgpack.packb({"layer": {"bias": array((2,), "bfloat16", data)}}))
    assert torch.equal(flax_file.read(path)["layer.bias"], values)


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({"a": 1}, "'a' is not an array"),
        ({"a": array((1 << 40,), "float32", b"")}, "has 0 bytes"),
        ({"a": array((1,), "int8", b"1")}, "type 'int8'"),
        ({"a": msgpack.ExtType(3, b"")}, "extension of the type 3"),
        ({"a": {"__msgpack_chunked_array__": True}}, "not stored in one piece"),
        ([1], "exceeds max_array_len"),
        ({"a": array((1 << 63,) * 1000, "float32", b"")}, "exceeds max_array_len"),
        ({"a": msgpack.ExtType(1, msgpack.packb([{}] * 1000))}, "exceeds max_array_len"),
        ({str(index): {} for index in range(60_000)}, "more than 100,000 entries"),
    ],
)
def test_other_values_of_flax_are_refused(tree: object, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes(msgpack.packb(tree))
    with pytest.raises(CheckpointError, match=problem):
        flax_file.read(path)


@pytest.mark.parametrize("name", FILES.values())
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"\x81" * 5000, b"\x89HDF\r\n\x1a\n" + b"\x00" * 200]
)
def test_damaged_files_are_refused(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        (keras_file if name.endswith("h5") else flax_file).read(path)
