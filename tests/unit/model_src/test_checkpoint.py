"""Checkpoints are read strictly: what does not fit is named, what is not trusted is refused."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.activations import ACT2FN

from model_src.checkpoint import load_checkpoint, save_checkpoint
from model_src.config import ACTIVATIONS, DistilBertConfig
from model_src.errors import CheckpointError, ConfigurationError
from model_src.folder import find
from model_src.model import activate
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


TIED = ("distilbert.embeddings.word_embeddings.weight", "vocab_projector.weight")


def test_a_tied_weight_may_have_either_name(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint("masked_lm", tokenizer=False)
    values = tensors(folder)
    embeddings = values.pop(TIED[0])
    rewrite(folder, {**values, TIED[1]: embeddings})
    state = load_checkpoint(folder).model.state_dict()
    assert all(torch.equal(state[name], embeddings) for name in TIED)


def test_a_tied_weight_that_is_missing_is_not_called_misshapen(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint("masked_lm", tokenizer=False)
    rewrite(folder, {name: tensor for name, tensor in tensors(folder).items() if name not in TIED})
    with pytest.raises(CheckpointError, match=f"2 missing: {', '.join(TIED)}\n"):
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
    read = load_checkpoint(folder).model.state_dict()
    assert expected.keys() == read.keys()
    assert all(torch.equal(expected[name], read[name]) for name in expected)


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
    read = load_checkpoint(folder).model.state_dict()
    assert all(torch.equal(expected[name], read[name]) for name in expected)
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


@pytest.mark.parametrize(
    "prefixes",
    [
        ("module.", ""),
        ("_orig_mod.", ""),
        ("module._orig_mod.", ""),
        ("distilbert.", "distilbert."),
        ("", "module."),
    ],
    ids=str,
)
def test_prefixes_of_wrappers_are_left_out(folder: Path, prefixes: tuple[str, str]) -> None:
    outer, inner = prefixes
    expected = load_checkpoint(folder)
    assert not expected.remarks
    renamed = {
        outer + name.replace("distilbert.", f"distilbert.{inner}")
        if "distilbert." in name
        else outer.replace("distilbert.", "") + name: tensor
        for name, tensor in tensors(folder).items()
    }
    rewrite(folder, renamed)
    loaded = load_checkpoint(folder)
    state = loaded.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.model.state_dict().items())
    assert "without the prefixes" in loaded.remarks[0]
    assert find(folder).shapes().keys() == state.keys()


def test_two_tensors_of_one_name_are_refused(folder: Path) -> None:
    values = tensors(folder)
    rewrite(folder, {**values, f"module.{QUERY}": values[QUERY].clone()})
    load_checkpoint(folder)
    rewrite(folder, {**values, f"module.{QUERY}": values[QUERY] + 1})
    with pytest.raises(CheckpointError, match=f"has {QUERY} twice"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "name",
    ["loss_fct.weight", "module.criterion.weight", "class_weights", "distilbert.embeddings.position_ids"],
)
def test_tensors_that_no_forward_pass_reads_are_left_out(
    folder: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(folder, {**tensors(folder), name: torch.arange(3)})
    with caplog.at_level("INFO", logger="model_src"):
        remarks = load_checkpoint(folder).remarks
    assert any(remark.startswith(f"{name} is not used") for remark in remarks)
    assert name in caplog.text


def test_the_hint_for_an_unknown_tensor_of_a_complete_model(folder: Path) -> None:
    rewrite(folder, {**tensors(folder), "other.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"other\.weight\n  hint: the model is complete without them"):
        load_checkpoint(folder)


@pytest.mark.parametrize("prefix", ["model.", "net.student."])
def test_a_prefix_that_every_tensor_has_is_named(prefix: str, folder: Path) -> None:
    rewrite(folder, {f"{prefix}{name}": tensor for name, tensor in tensors(folder).items()})
    for name in ("model.safetensors", "pytorch_model.bin"):
        if name == "pytorch_model.bin":
            torch.save(tensors(folder), folder / name)
            (folder / "model.safetensors").unlink()
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(folder)
        assert f"begin with {prefix!r}" in caught.value.hint
        assert f"module.{prefix}save_pretrained(folder)" in caught.value.hint


def test_more_layers_in_the_weights_than_in_the_configuration_are_not_to_be_deleted(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(read_config(folder) | {"n_layers": 1}))
    with pytest.raises(
        CheckpointError, match=r"n_layers in config\.json is 1, and the weights have 2 layers"
    ):
        load_checkpoint(folder)


def test_an_adapter_is_refused_with_the_way_to_merge_it(folder: Path) -> None:
    rewrite(
        folder,
        {**tensors(folder), f"base_model.model.{QUERY}".replace(".weight", ".lora_A.weight"): torch.ones(2)},
    )
    with pytest.raises(CheckpointError, match="merge_and_unload"):
        load_checkpoint(folder)
    (folder / "adapter_config.json").write_text("{}")
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    with pytest.raises(CheckpointError, match=r"PEFT adapter .*\n  hint: merge it"):
        load_checkpoint(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8])
def test_integer_weights_are_refused_as_quantized(folder: Path, dtype: torch.dtype) -> None:
    rewrite(folder, {**tensors(folder), QUERY: torch.zeros(32, 32, dtype=dtype)})
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(
        CheckpointError, match=rf"quantized: 1 stored as integers: {QUERY} is {kind}.*\n.*int8 variant"
    ):
        load_checkpoint(folder)


def test_the_other_names_of_sizes_count_as_in_transformers() -> None:
    values = {"model_type": "distilbert", "num_attention_heads": 8, "n_heads": 4, "dim": 32}
    oracle = transformers.DistilBertConfig(**values)
    assert DistilBertConfig.from_hugging_face(values).n_heads == oracle.n_heads == 8


def test_labels_that_are_numbers_are_their_digits() -> None:
    values = {"model_type": "distilbert", "id2label": {"0": "one", "1": 2}}
    assert DistilBertConfig.from_hugging_face(values).labels == ("one", "2")


def test_a_configuration_without_model_type_is_read(folder: Path) -> None:
    values = read_config(folder)
    del values["model_type"]
    (folder / "config.json").write_text(json.dumps(values))
    loaded = load_checkpoint(folder)
    assert loaded.config.to_hugging_face(loaded.model.architecture)["model_type"] == "distilbert"
    assert "does not have a model_type" in loaded.remarks[0]
    (folder / "config.json").write_text(json.dumps(values | {"architectures": ["Other"]}))
    with pytest.raises(ConfigurationError, match='add "model_type": "distilbert"'):
        load_checkpoint(folder)
    (folder / "config.json").write_text(json.dumps(values | {"architectures": ["BertModel"]}))
    with pytest.raises(ConfigurationError, match="distilforge convert"):
        load_checkpoint(folder)


def test_no_dropout_and_no_padding_token(folder: Path) -> None:
    changes = {"dropout": None, "attention_dropout": None, "pad_token_id": -1}
    (folder / "config.json").write_text(json.dumps(read_config(folder) | changes))
    loaded = load_checkpoint(folder)
    assert (loaded.config.dropout, loaded.config.attention_dropout) == (0.0, 0.0)
    assert loaded.config.pad_token_id is None
    assert "pad_token_id of config.json is -1; it is read as null" in loaded.remarks
    assert len(loaded.remarks) == 3


def test_an_empty_id2label_stands_for_labels_without_names(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(read_config(folder) | {"id2label": {}, "label2id": {}}))
    loaded = load_checkpoint(folder, head="features")
    assert loaded.config.labels == ("LABEL_0", "LABEL_1")
    assert "id2label of config.json is {}; it is read as null" in loaded.remarks


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_transformers(name: str) -> None:
    x = torch.linspace(-12, 12, 4801)
    # transformers writes its tanh formulas out, which rounds differently from PyTorch's; values reach 144 for relu2
    torch.testing.assert_close(activate(name, x), ACT2FN[name](x), atol=2e-6, rtol=1e-6)


def test_every_activation_of_transformers_without_weights_is_known() -> None:
    assert set(ACTIVATIONS) == set(ACT2FN) - {"prelu", "xielu"}


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
    (folder / "model.safetensors").rename(folder / "model.fp16.safetensors")
    with pytest.raises(
        CheckpointError, match=r"no weights.*\n  hint: it has 'model\.fp16\.safetensors': give"
    ):
        load_checkpoint(folder)
    (folder / "model.fp16.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no weights.*\n  hint: save the model"):
        load_checkpoint(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "names", [("checkpoint-500", "checkpoint-1000"), ("snapshots/a1b2",)], ids=["Trainer", "hub cache"]
)
def test_models_in_folders_of_a_folder_without_a_configuration_are_named(
    names: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    parent = tmp_path / "parent"
    for name in names:
        shutil.copytree(folder, parent / name)
    with pytest.raises(CheckpointError, match=rf"no config\.json; .*{', '.join(names)}") as caught:
        load_checkpoint(parent)
    assert caught.value.hint.endswith(f"such as {parent / names[0]}")


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
        ({"pruned_heads": {"0": [1]}}, "pruned_heads is {'0': \\[1\\]}"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quant_method 'bitsandbytes'"),
        ({"activation": "geluu"}, "did you mean 'gelu'"),
        ({"n_heads": 5}, "dim 32 cannot be split evenly over 5"),
        ({"n_layers": 0}, "n_layers must be at least 1, found 0"),
        ({"dropout": 1.5}, "dropout must lie between 0 and 1, found 1.5"),
        ({"attention_dropout": -0.1}, "attention_dropout must lie between 0 and 1, found -0.1"),
        ({"qa_dropout": float("nan")}, "qa_dropout must lie between 0 and 1, found nan"),
        ({"dim": "32"}, "dim must be a whole number, found '32'"),
        ({"pad_token_id": 9999}, "pad_token_id 9999"),
        ({"id2label": {"0": "a", "2": "b"}}, "without gaps"),
        ({"id2label": {"0": "a", "00": "b"}}, "the keys '0' and '00' of id2label are the same id, 0"),
        ({"id2label": {"0": "a", "1": "b", " 1": "b"}}, "the keys '1' and ' 1' of id2label are the same id"),
        ({"problem_type": "ranking"}, "unknown problem_type 'ranking'"),
        ({"n_layers": 100_000}, "n_layers must be at most 1000, found 100000"),
        ({"vocab_size": 10**9}, "vocab_size must be at most 10000000, found 1000000000"),
        ({"id2label": None, "num_labels": 10**8}, "at most 100000 labels, found 100000000"),
        ({"id2label": {"0": "\ud800"}}, "must be Unicode text"),
        (
            {"id2label": {"0": "a", "1": True}},
            "labels of id2label must be text or whole numbers, found True for '1'",
        ),
        ({"id2label": {"0": None}}, "labels of id2label must be text or whole numbers, found None for '0'"),
        (
            {"id2label": {"0": ["a"]}},
            "labels of id2label must be text or whole numbers, found \\['a'\\] for '0'",
        ),
        ({"dropout": 10**400}, "dropout must lie between 0 and 1, found 1000"),
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
