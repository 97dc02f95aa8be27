"""Checkpoints are read strictly: what does not fit is named, what is not trusted is refused."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_src.checkpoint import load_checkpoint, save_checkpoint
from model_src.config import DistilBertConfig
from model_src.errors import CheckpointError, ConfigurationError
from tests.conftest import MakeCheckpoint, read_config

QUERY = "distilbert.transformer.layer.1.attention.q_lin.weight"


@pytest.fixture
def folder(make_checkpoint: MakeCheckpoint) -> Path:
    return make_checkpoint("sequence_classification", tokenizer=False)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def rewrite(folder: Path, values: dict[str, torch.Tensor]) -> None:
    save_file(values, folder / "model.safetensors", metadata={"format": "pt"})


def test_missing_tensor_is_named(folder: Path) -> None:
    values = tensors(folder)
    del values[QUERY]
    rewrite(folder, values)
    with pytest.raises(CheckpointError, match=f"1 missing: {QUERY}"):
        load_checkpoint(folder)


def test_unexpected_tensor_is_named(folder: Path) -> None:
    rewrite(folder, {**tensors(folder), "adapter.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"1 unexpected: adapter\.weight"):
        load_checkpoint(folder)


def test_unexpected_tensor_is_named_for_the_bare_encoder_too(folder: Path) -> None:
    rewrite(folder, {**tensors(folder), "adapter.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"1 unexpected: adapter\.weight"):
        load_checkpoint(folder, head="features")


def test_misshapen_tensor_is_named_with_both_shapes(folder: Path) -> None:
    rewrite(folder, {**tensors(folder), QUERY: torch.zeros(32, 31)})
    with pytest.raises(CheckpointError, match=r"1 misshapen: .*q_lin.weight is \(32, 31\).*\(32, 32\)"):
        load_checkpoint(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_weights_are_refused(folder: Path, value: float) -> None:
    values = tensors(folder)
    values[QUERY][0, 0] = value
    rewrite(folder, values)
    with pytest.raises(CheckpointError, match=f"{QUERY}.*1 values that are NaN or infinite"):
        load_checkpoint(folder)


def test_more_layers_than_the_weights_have_are_refused_before_they_are_made(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(read_config(folder) | {"n_layers": 1000}))
    with pytest.raises(CheckpointError, match="asks for n_layers 1000, and the weights have 2 layers"):
        load_checkpoint(folder)


def test_truncated_file_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)


@pytest.mark.parametrize("protocol", [2, pickle.DEFAULT_PROTOCOL])
def test_pickle_that_would_run_code_does_not_run_it(folder: Path, tmp_path: Path, protocol: int) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    (folder / "model.safetensors").unlink()
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"weight": Payload()}, file, protocol=protocol)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        load_checkpoint(folder)
    torch.save({"weight": Payload()}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="not trusted"):
        load_checkpoint(folder)
    assert not (tmp_path / "ran").exists()


def test_pytorch_bin_equals_safetensors(folder: Path) -> None:
    expected = load_checkpoint(folder).model.state_dict()
    torch.save(tensors(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = load_checkpoint(folder).model.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_shards_equal_one_file(folder: Path) -> None:
    expected = load_checkpoint(folder).model.state_dict()
    values = tensors(folder)
    names = sorted(values)
    weight_map = {}
    for shard, part in (("first.safetensors", names[:9]), ("second.safetensors", names[9:])):
        save_file({name: values[name] for name in part}, folder / shard)
        weight_map |= dict.fromkeys(part, shard)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = load_checkpoint(folder).model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    (folder / "second.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"second\.safetensors.*missing"):
        load_checkpoint(folder)


def test_index_that_leaves_the_folder_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "elsewhere.safetensors")
    index = {"weight_map": {QUERY: "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="outside"):
        load_checkpoint(folder)


def test_bare_encoder_is_read_out_of_any_head(folder: Path) -> None:
    model = load_checkpoint(folder, head="features").model
    assert model.name == "features"
    assert torch.equal(model.state_dict()[QUERY], tensors(folder)[QUERY])


def test_legacy_layer_norm_names_are_read(folder: Path) -> None:
    values = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors(folder).items()
    }
    assert any(name.endswith(".gamma") for name in values)
    rewrite(folder, values)
    assert load_checkpoint(folder).head == "sequence_classification"


def test_half_precision_is_read_as_float32(folder: Path) -> None:
    rewrite(folder, {name: tensor.half() for name, tensor in tensors(folder).items()})
    assert {tensor.dtype for tensor in load_checkpoint(folder).model.state_dict().values()} == {torch.float32}


def test_another_heads_weights_are_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"missing: .*vocab_"):
        load_checkpoint(folder, head="masked_lm")


def test_unknown_head_suggests_the_nearest(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'sequence_classification'"):
        load_checkpoint(folder, head="sequence_clasification")


def test_unknown_architecture_says_how_to_choose(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(read_config(folder) | {"architectures": ["Other"]}))
    with pytest.raises(ConfigurationError, match="--head"):
        load_checkpoint(folder)


def test_no_folder_no_config_no_weights(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no folder"):
        load_checkpoint(tmp_path / "absent")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        load_checkpoint(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load_checkpoint(folder)


def test_writing_and_reading_gives_the_same(folder: Path, tmp_path: Path) -> None:
    first = load_checkpoint(folder)
    save_checkpoint(first.model, tmp_path / "again")
    second = load_checkpoint(tmp_path / "again")
    assert first.config == second.config
    mode = (tmp_path / "again" / "model.safetensors").stat().st_mode
    assert mode == (tmp_path / "again" / "config.json").stat().st_mode
    assert all(
        torch.equal(a, second.model.state_dict()[name]) for name, a in first.model.state_dict().items()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"activation": "geluu"}, "did you mean 'gelu'"),
        ({"n_heads": 5}, "dim 32 cannot be split evenly over 5"),
        ({"n_layers": 0}, "n_layers must be at least 1, found 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, found 1.0"),
        ({"dim": "32"}, "dim must be a whole number, found '32'"),
        ({"pad_token_id": 9999}, "pad_token_id 9999"),
        ({"id2label": {"0": "a", "2": "b"}}, "without gaps"),
        ({"problem_type": "ranking"}, "unknown problem_type 'ranking'"),
        ({"n_layers": 100_000}, "n_layers must be at most 1000, found 100000"),
        ({"vocab_size": 10**9}, "vocab_size must be at most 10000000, found 1000000000"),
        ({"id2label": None, "num_labels": 10**8}, "at most 100000 labels, found 100000000"),
        ({"id2label": {"0": "\ud800"}}, "must be Unicode text"),
        ({"dropout": 10**400}, "dropout must be at least 0 and below 1, found 1000"),
    ],
)
def test_configuration_that_cannot_be_computed(
    folder: Path, changes: dict[str, object], message: str
) -> None:
    (folder / "config.json").write_text(json.dumps(read_config(folder) | changes))
    with pytest.raises(ConfigurationError, match=message):
        load_checkpoint(folder)


def test_configuration_round_trip() -> None:
    config = DistilBertConfig(
        dim=24, n_heads=3, labels=("x", "y", "z"), problem_type="regression", sinusoidal_pos_embds=True
    )
    assert DistilBertConfig.from_hugging_face(config.to_hugging_face("DistilBertModel")) == config
