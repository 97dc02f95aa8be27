"""The modules of sentence-transformers: what is read from every layout, refused by name, and written."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from model_src.checkpoint import load_checkpoint
from model_src.errors import CheckpointError
from model_src.folder import find
from model_src.sentence import writing
from model_src.sentence.modules import Dense, LayerNorm, Normalize, Pooling, SentenceModules
from tests.conftest import MakeCheckpoint
from tests.sentence_folders import MODELS, add_modules, write, write_dense


@pytest.fixture
def folder(make_checkpoint: MakeCheckpoint) -> Path:
    return make_checkpoint("features", tokenizer=False, n_layers=1)


def modules(folder: Path) -> SentenceModules:
    sentence = find(folder).sentence
    assert sentence is not None
    return sentence


def refusal(folder: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        find(folder)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "modes"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ("cls",)),
        ({"pooling_mode_max_tokens": True}, ("max",)),
        ({"pooling_mode_mean_tokens": True}, ("mean",)),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, ("mean_sqrt_len_tokens",)),
        ({"pooling_mode_weightedmean_tokens": True}, ("weightedmean",)),
        ({"pooling_mode_lasttoken": True}, ("lasttoken",)),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ("cls", "mean")),
        ({"pooling_mode_mean_tokens": False}, ("mean",)),
        ({"embedding_dimension": 32, "pooling_mode": "max"}, ("max",)),
        ({"embedding_dimension": 32, "pooling_mode": ["mean", "cls"]}, ("mean", "cls")),
    ],
)
def test_every_pooling_is_read_from_old_and_new_fields(
    fields: dict[str, object], modes: tuple[str, ...], folder: Path
) -> None:
    add_modules(folder, pooling=fields)
    assert modules(folder).modules == (Pooling(modes=modes),)


def test_layers_and_limits_are_read_and_said(folder: Path) -> None:
    add_modules(folder, "Dense", "Normalize", encoder={"max_seq_length": 16, "do_lower_case": True})
    sentence = modules(folder)
    _, dense, normalize = sentence.modules
    assert isinstance(dense, Dense)
    assert (dense.in_features, dense.out_features, dense.bias, dense.activation) == (32, 16, True, "tanh")
    assert normalize == Normalize()
    assert (sentence.max_seq_length, sentence.do_lower_case) == (16, True)
    assert find(folder).longest() == 16
    assert load_checkpoint(folder).remarks == (
        "modules.json: the sentence embedding is Pooling (mean), then Dense (32 to 16, tanh), then Normalize; a text "
        "has at most 16 tokens",
    )


def test_a_layer_norm_and_a_cut_are_read_and_said(folder: Path) -> None:
    add_modules(folder, "Dense", "LayerNorm", settings={"truncate_dim": 8})
    sentence = modules(folder)
    assert (sentence.modules[2], sentence.truncate_dim) == (
        LayerNorm(features=16, weights=folder / "3_LayerNorm" / "pytorch_model.bin"),
        8,
    )
    loaded = load_checkpoint(folder)
    assert loaded.remarks[0].endswith("then LayerNorm, cut to its first 8 numbers")
    state = loaded.model.state_dict()
    assert find(folder).shapes() == {name: tuple(tensor.shape) for name, tensor in state.items()}
    with torch.no_grad():
        _, embedding = loaded.model(torch.tensor([[1, 2, 3]]), torch.ones(1, 3, dtype=torch.int64))
    assert embedding.shape == (1, 8)


def test_the_encoders_settings_have_the_names_of_other_encoders_too(folder: Path) -> None:
    write(add_modules(folder) / "sentence_roberta_config.json", {"max_seq_length": 12})
    assert modules(folder).max_seq_length == 12


def test_a_limit_beyond_the_positions_does_not_count(folder: Path) -> None:
    add_modules(folder, encoder={"max_seq_length": 500})
    assert find(folder).longest() == 64


def test_a_model_type_of_null_is_the_usual_one(folder: Path) -> None:
    add_modules(folder, settings={"model_type": None})
    assert [str(module) for module in modules(folder).modules] == ["Pooling (mean)"]


def move_encoder(folder: Path) -> Path:
    """Move the encoder in `folder` into 0_DistilBERT of a folder with modules.json, and return that."""
    root = add_modules(folder.parent / "root", "Dense")
    entries = json.loads((root / "modules.json").read_text())
    entries[0] = {"idx": 0, "name": "0", "path": "0_DistilBERT", "type": MODELS + "DistilBERT"}
    write(root / "modules.json", entries)
    folder.rename(root / "0_DistilBERT")
    return root


@pytest.mark.parametrize("head", [None, "features", "sequence_classification"])
def test_a_config_of_the_librarys_own_beside_modules_json_is_not_the_encoders(
    folder: Path, head: str | None
) -> None:
    root = move_encoder(folder)
    # As versions 0.2 to 0.4 of the library wrote it
    write(root / "config.json", {"__version__": "0.4.1"})
    assert find(root, head=head).path == root / "0_DistilBERT"


def test_another_model_beside_modules_json_is_not_the_encoder(folder: Path) -> None:
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    root = move_encoder(folder)
    shutil.copytree(other, root, dirs_exist_ok=True)
    assert find(root).path == root / "0_DistilBERT"
    assert find(root, head="sequence_classification").path == root


def test_the_encoder_may_have_a_folder_of_its_own(folder: Path) -> None:
    root = move_encoder(folder)
    write(root / "0_DistilBERT" / "sentence_distilbert_config.json", {"max_seq_length": 20})
    files = find(root)
    assert (files.path, files.root, files.longest()) == (root / "0_DistilBERT", root, 20)
    assert load_checkpoint(root).model.outputs == ("last_hidden_state", "sentence_embedding")


@pytest.mark.parametrize(("encoder", "pooling"), [(".", "1_Pooling/"), ("./", "./1_Pooling")])
def test_folders_of_modules_are_paths(encoder: str, pooling: str, folder: Path) -> None:
    add_modules(folder)
    listed = folder / "modules.json"
    entries = json.loads(listed.read_text(encoding="utf-8"))
    expected = modules(folder)
    for entry, path in zip(entries, (encoder, pooling), strict=True):
        entry["path"] = path
    listed.write_text(json.dumps(entries), encoding="utf-8")
    assert modules(folder) == expected


@pytest.mark.parametrize("path", ["..", "../other", "/etc", "1_Pooling/../..", "a/b"])
def test_folders_of_modules_elsewhere_are_refused(path: str, folder: Path) -> None:
    add_modules(folder)
    listed = folder / "modules.json"
    entries = json.loads(listed.read_text(encoding="utf-8"))
    entries[1]["path"] = path
    listed.write_text(json.dumps(entries), encoding="utf-8")
    assert f"names the folder {path!r}; it must be one inside the checkpoint" in refusal(folder).message


def test_what_is_written_reads_the_same(folder: Path, tmp_path: Path) -> None:
    settings = {"prompts": {"query": "find: "}, "default_prompt_name": "query"}
    add_modules(folder, "LayerNorm", "Dense", "Normalize", encoder={"max_seq_length": 16}, settings=settings)
    sentence = modules(folder)
    other = tmp_path / "other"
    other.mkdir()
    writing.write(sentence, other)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(folder / name, other / name)
    again = modules(other)
    assert [str(module) for module in again.modules] == [str(module) for module in sentence.modules]
    assert (again.max_seq_length, again.do_lower_case) == (16, False)
    first, second = load_checkpoint(folder).model.state_dict(), load_checkpoint(other).model.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert json.loads((other / "config_sentence_transformers.json").read_text()) == settings


def test_another_head_leaves_them_out(make_checkpoint: MakeCheckpoint) -> None:
    folder = add_modules(make_checkpoint("masked_lm", tokenizer=False, n_layers=1))
    assert load_checkpoint(folder).head == "features"
    assert load_checkpoint(folder, head="masked_lm").model.outputs == ("logits",)


@pytest.mark.parametrize(
    ("kind", "position"),
    [
        ("sentence_transformers.models.CNN", 1),
        ("sentence_transformers.models.WeightedLayerPooling", 1),
        ("sentence_transformers.models.LSTM", 1),
        ("sentence_transformers.models.WordWeights", 2),
        ("sentence_transformers.sparse_encoder.models.SpladePooling", 1),
        ("modeling_own.Dense", 2),
        ("sentence_transformers.models.CLIPModel", 0),
        ("sentence_transformers.sparse_encoder.models.MLMTransformer", 0),
    ],
)
def test_other_modules_are_refused_by_name(kind: str, position: int, folder: Path) -> None:
    add_modules(folder, "Dense")
    entries = json.loads((folder / "modules.json").read_text())
    entries[position]["type"] = kind
    write(folder / "modules.json", entries)
    error = refusal(folder)
    assert f"{kind!r} at position {position}" in error.message
    assert "remove modules.json" in error.hint


def test_a_pooling_elsewhere_is_refused(folder: Path) -> None:
    add_modules(folder, "Pooling")
    assert "Pooling at position 2" in refusal(folder).message
    entries = json.loads((folder / "modules.json").read_text())
    write(folder / "modules.json", entries[:1])
    assert "has no Pooling after the encoder" in refusal(folder).message
    entries[1]["type"] = MODELS + "Normalize"
    write(folder / "modules.json", entries)
    assert "Normalize at position 1" in refusal(folder).message


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode_entropy_tokens": True}, "'pooling_mode_entropy_tokens'"),
        ({"pooling_mode": "attention"}, "'attention'"),
        ({"pooling_mode": []}, "does not name any pooling_mode"),
    ],
)
def test_other_poolings_are_refused_by_name(pooling: dict[str, object], named: str, folder: Path) -> None:
    add_modules(folder, pooling=pooling)
    assert named in refusal(folder).message


def test_a_pooling_without_the_prompt_is_refused_where_there_are_prompts(folder: Path) -> None:
    pooling: dict[str, object] = {"pooling_mode_mean_tokens": True, "include_prompt": False}
    add_modules(folder, pooling=pooling, settings={"prompts": {"query": ""}})
    assert modules(folder).modules == (Pooling(modes=("mean",)),)
    add_modules(folder, pooling=pooling, settings={"prompts": {"query": "find: "}})
    assert "include_prompt false" in refusal(folder).message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"activation_function": "torch.nn.modules.activation.PReLU"}, "PReLU"),
        ({"activation_function": "own.Tanh"}, "'own.Tanh'"),
        ({"module_input_name": "token_embeddings"}, "module_input_name 'token_embeddings'"),
        ({"in_features": True}, "in_features must be a whole number from 1 to 65536, found True"),
        ({"out_features": 10**9}, "out_features must be a whole number from 1 to 65536, found 1000000000"),
    ],
)
def test_other_dense_layers_are_refused_by_name(changes: dict[str, object], named: str, folder: Path) -> None:
    add_modules(folder, "Dense")
    write_dense(folder / "2_Dense", 32, 16, **changes)
    assert named in refusal(folder).message


def test_arguments_that_do_not_change_the_model_are_read(folder: Path) -> None:
    add_modules(folder, encoder={"model_args": {"torch_dtype": "float16"}, "config_args": {}})
    assert modules(folder).modules == (Pooling(modes=("mean",)),)


def test_a_layer_norm_of_another_width_is_refused(folder: Path) -> None:
    add_modules(folder, "Dense", "LayerNorm")
    write(folder / "3_LayerNorm" / "config.json", {"dimension": 32})
    with pytest.raises(
        CheckpointError, match=r"3_LayerNorm.*reads 32 numbers, and the module ahead of it gives 16"
    ):
        load_checkpoint(folder)


def test_widths_that_do_not_fit_are_refused_with_both(folder: Path) -> None:
    add_modules(folder, "Dense", pooling={"pooling_mode": ["mean", "cls"]})
    with pytest.raises(
        CheckpointError, match=r"2_Dense.*reads 32 numbers, and the module ahead of it gives 64"
    ):
        load_checkpoint(folder)


def test_weights_of_a_layer_that_do_not_fit_are_named(folder: Path) -> None:
    add_modules(folder, "Dense")
    torch.save({"linear.weight": torch.zeros(15, 32)}, folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(
        CheckpointError, match=r"1 missing: sentence\.2\.linear\.bias.*linear\.weight is \(15, 32\)"
    ):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("sentence_bert_config.json", {"max_seq_length": "16"}, "max_seq_length"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "transformer_task 'fill-mask'"),
        ("sentence_bert_config.json", {"tokenizer_args": {"do_lower_case": True}}, "tokenizer_args"),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "other"}, "tokenizer_name_or_path 'other'"),
        ("sentence_bert_config.json", {"config_args": {"activation": "relu"}}, "config_args"),
        ("sentence_bert_config.json", {"model_kwargs": {"n_layers": 1}}, "model_kwargs"),
        ("config_sentence_transformers.json", {"truncate_dim": 0}, "truncate_dim"),
        ("config_sentence_transformers.json", {"truncate_dim": "8"}, "truncate_dim"),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "'SparseEncoder'"),
        ("modules.json", {}, "must contain a list of modules"),
        ("modules.json", [{"type": MODELS + "Transformer"}], "must have a type and a path"),
        ("modules.json", [{"type": MODELS + "Transformer", "path": "../other"}], "'../other'"),
        ("modules.json", [{"type": MODELS + "Transformer", "path": ".."}], "'..'"),
    ],
)
def test_other_settings_are_refused_by_name(name: str, value: object, named: str, folder: Path) -> None:
    write(add_modules(folder) / name, value)
    assert named in refusal(folder).message


def test_missing_files_are_named(folder: Path) -> None:
    add_modules(folder, "Dense")
    (folder / "2_Dense" / "pytorch_model.bin").unlink()
    assert "2_Dense has no weights" in refusal(folder).message
    (folder / "1_Pooling" / "config.json").unlink()
    assert "1_Pooling/config.json does not exist" in refusal(folder).message


@pytest.mark.parametrize("name", ["modules.json", "1_Pooling/config.json", "2_Dense/pytorch_model.bin"])
def test_a_link_that_leads_out_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    add_modules(folder, "Dense")
    (folder / name).rename(tmp_path / "private")
    (folder / name).symlink_to(tmp_path / "private")
    assert f"{name} is a link that leads out" in refusal(folder).message


def test_a_cross_encoder_keeps_its_head(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint("sequence_classification", tokenizer=False, n_layers=1, num_labels=1)
    write(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": MODELS + "Transformer"}])
    write(folder / "config_sentence_transformers.json", {"model_type": "CrossEncoder"})
    assert load_checkpoint(folder).head == "sequence_classification"
