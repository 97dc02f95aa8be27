"""LoRA adapters: merged as the formula says, or refused by name; an adapter is never left out without a word."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_src.checkpoint import load_checkpoint
from model_src.convert import convert
from model_src.errors import CheckpointError
from model_src.folder import find
from tests.conftest import MakeCheckpoint
from tests.sentence_folders import add_modules, write

HEAD = "sequence_classification"
MODULE = "distilbert.transformer.layer.0.attention.q_lin"
SETTINGS: dict[str, object] = {
    "peft_type": "LORA",
    "task_type": "SEQ_CLS",
    "r": 4,
    "lora_alpha": 8,
    "base_model_name_or_path": "somewhere/base",
}


@pytest.fixture
def base(make_checkpoint: MakeCheckpoint) -> Path:
    return make_checkpoint(HEAD, n_layers=1)


def factors(rows: int = 32, columns: int = 32, rank: int = 4) -> dict[str, torch.Tensor]:
    return {
        f"base_model.model.{MODULE}.lora_A.weight": torch.randn(rank, columns),
        f"base_model.model.{MODULE}.lora_B.weight": torch.randn(rows, rank),
    }


def adapter(folder: Path, state: dict[str, torch.Tensor], **changes: object) -> Path:
    write(folder / "adapter_config.json", SETTINGS | changes)
    save_file(state, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({}, 2.0),
        ({"use_rslora": True}, 4.0),
        ({"alpha_pattern": {"q_lin": 2}}, 0.5),
        ({"alpha_pattern": {"k_lin": 2}}, 2.0),
        ({"alpha_pattern": {"layer.0.attention.q_lin": 2, "q_lin": 4}}, 0.5),
        ({"init_lora_weights": "gaussian", "megatron_core": "megatron.core", "lora_bias": False}, 2.0),
    ],
)
def test_a_lora_is_added_with_its_scale(
    changes: dict[str, object], scale: float, base: Path, tmp_path: Path
) -> None:
    state = factors()
    made = convert(str(adapter(tmp_path / "adapter", state, **changes)), tmp_path / "merged", base=str(base))
    before, after = load_checkpoint(base).model.state_dict(), load_checkpoint(made).model.state_dict()
    down, up = state.values()
    expected = before[f"{MODULE}.weight"] + scale * (up @ down)
    # One product and one sum of float32 numbers up to 20
    torch.testing.assert_close(after[f"{MODULE}.weight"], expected, rtol=0, atol=1e-5)
    assert [name for name in before if not torch.equal(before[name], after[name])] == [f"{MODULE}.weight"]
    assert (made / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()


def test_a_saved_classifier_replaces_that_of_the_base_and_gives_the_labels(
    base: Path, tmp_path: Path
) -> None:
    state = {
        "base_model.model.classifier.weight": torch.randn(5, 32),
        "base_model.model.classifier.bias": torch.randn(5),
    }
    made = convert(str(adapter(tmp_path / "adapter", state)), tmp_path / "merged", base=str(base))
    checkpoint = load_checkpoint(made)
    assert checkpoint.config.labels == tuple(f"LABEL_{index}" for index in range(5))
    assert torch.equal(
        checkpoint.model.state_dict()["classifier.weight"], state["base_model.model.classifier.weight"]
    )


def test_layers_that_neither_has_are_named(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    base = make_checkpoint("masked_lm", folder=tmp_path / "base", n_layers=1)
    source = adapter(tmp_path / "adapter", factors())
    with pytest.raises(
        CheckpointError, match=r"4 missing: classifier\.bias, classifier\.weight, pre_classifier"
    ):
        convert(str(source), tmp_path / "merged", base=str(base))


def test_the_modules_of_sentence_transformers_are_kept(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    base = make_checkpoint("features", folder=tmp_path / "base", n_layers=1)
    state = {name.replace("distilbert.", ""): tensor for name, tensor in factors().items()}
    source = adapter(tmp_path / "adapter", state, task_type="FEATURE_EXTRACTION")
    add_modules(source, "Dense", encoder={"max_seq_length": 16})
    made = convert(str(source), tmp_path / "merged", base=str(base))
    assert load_checkpoint(made).model.outputs == ("last_hidden_state", "sentence_embedding")
    assert find(made).longest() == 16


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"peft_type": "IA3"}, "peft_type 'IA3'"),
        ({"use_dora": True}, "use_dora True"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"init_lora_weights": "pissa_niter_16"}, "init_lora_weights 'pissa_niter_16'"),
        ({"init_lora_weights": "lora_ga"}, "init_lora_weights 'lora_ga'"),
        ({"lora_bias": True}, "lora_bias True"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"target_parameters": ["ffn.lin1.weight"]}, "target_parameters"),
        ({"setting_of_a_later_peft": 1}, "setting_of_a_later_peft 1"),
        ({"alpha_pattern": {".*q_lin": 2}}, "alpha_pattern"),
        ({"lora_alpha": "8"}, "lora_alpha"),
        ({"lora_alpha": 10**400}, "must be a number of at most 1e.09"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
        ({"r": 16}, r"have the rank 4, and .* says r 16"),
        ({"r": 0}, r"have the rank 4, and .* says r 0"),
        ({"r": 8, "rank_pattern": {"k_lin": 2}}, r"have the rank 4, and .* says r 8"),
    ],
)
def test_other_adapters_are_refused_by_name(
    changes: dict[str, object], named: str, base: Path, tmp_path: Path
) -> None:
    source = adapter(tmp_path / "adapter", factors(), **changes)
    with pytest.raises(CheckpointError, match=named):
        convert(str(source), tmp_path / "merged", base=str(base))


def test_a_rank_of_a_pattern_is_one_too(base: Path, tmp_path: Path) -> None:
    source = adapter(tmp_path / "adapter", factors(), r=8, rank_pattern={".*q_lin": 4})
    assert convert(str(source), tmp_path / "merged", base=str(base)).is_dir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {f"base_model.model.{MODULE}.lora_magnitude_vector": torch.ones(32)},
            "unexpected: .*lora_magnitude",
        ),
        ({"base_model.model.other.lora_A.weight": torch.ones(4, 32)}, "has lora_A of other"),
        ({f"base_model.model.{MODULE}.lora_A.weight": torch.ones(4, 31)}, r"\(4, 31\) for .*q_lin\.weight"),
        (factors(rank=0), r"\(32, 0\) and \(0, 32\) for .*q_lin\.weight"),
        ({"base_model.model.classifier.weight": torch.ones(10**8, 0)}, "has 100,000,000 labels"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    change: dict[str, torch.Tensor], message: str, base: Path, tmp_path: Path
) -> None:
    source = adapter(tmp_path / "adapter", factors() | change)
    with pytest.raises(CheckpointError, match=message):
        convert(str(source), tmp_path / "merged", base=str(base))


def test_a_folder_that_the_adapter_names_is_not_followed(base: Path, tmp_path: Path) -> None:
    source = adapter(tmp_path / "adapter", factors(), base_model_name_or_path=str(base))
    with pytest.raises(CheckpointError, match="is not the id of a model on the hub") as caught:
        convert(str(source), tmp_path / "merged")
    assert "--base FOLDER" in caught.value.hint


def test_a_build_refuses_an_adapter_and_says_how_to_merge_it(base: Path, tmp_path: Path) -> None:
    source = adapter(tmp_path / "adapter", factors())
    with pytest.raises(CheckpointError, match="not a whole model") as caught:
        find(source)
    assert "distilforge convert FOLDER DESTINATION --base BASE" in caught.value.hint
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (source / name).rename(base / name)
    with pytest.raises(CheckpointError, match="not clear whether its weights are the base model") as caught:
        find(base)
    assert "delete adapter_config.json" in caught.value.hint
    made = convert(str(base), tmp_path / "merged", base=str(base))
    assert not torch.equal(
        load_file(made / "model.safetensors")[f"{MODULE}.weight"],
        load_file(base / "model.safetensors")[f"{MODULE}.weight"],
    )


def test_a_base_without_an_adapter_is_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no adapter_config\.json"):
        convert(str(base), tmp_path / "merged", base=str(base))


def test_missing_weights_are_named(base: Path, tmp_path: Path) -> None:
    source = adapter(tmp_path / "adapter", factors())
    (source / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors or adapter_model\.bin"):
        convert(str(source), tmp_path / "merged", base=str(base))


def test_a_setfit_model_is_refused_unless_a_head_is_named(make_checkpoint: MakeCheckpoint) -> None:
    folder = add_modules(make_checkpoint("features", tokenizer=False, n_layers=1))
    (folder / "model_head.pkl").write_bytes(b"")
    with pytest.raises(
        CheckpointError, match=r"SetFit model: its classifier model_head\.pkl is a pickle"
    ) as caught:
        find(folder)
    assert "--head features" in caught.value.hint
    # Both kinds of classifiers have a way
    assert "head.coef_" in caught.value.hint
    assert "head.linear.weight" in caught.value.hint
    remarks = load_checkpoint(folder, head="features").remarks
    assert any("model_head.pkl is not read" in remark for remark in remarks)
    assert json.loads((folder / "modules.json").read_text())


def test_tied_weights_that_peft_keeps_tied_are_refused(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    base = make_checkpoint("masked_lm", n_layers=1)
    size = find(base).configuration().vocab_size
    state = {
        "base_model.model.vocab_projector.lora_A.weight": torch.randn(4, 32),
        "base_model.model.vocab_projector.lora_B.weight": torch.randn(size, 4),
    }
    tied = adapter(tmp_path / "tied", state, task_type=None, ensure_weight_tying=True)
    with pytest.raises(CheckpointError, match="ensure_weight_tying") as caught:
        convert(str(tied), tmp_path / "merged", base=str(base))
    assert "merge_and_unload" in caught.value.hint
