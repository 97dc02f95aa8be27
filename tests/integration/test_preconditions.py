"""Errors that the recipe or the small files of a checkpoint show are reported before any work."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_src.errors import CheckpointError
from model_src.folder import find
from pipeline.build import build
from pipeline.errors import UsageError
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.tuning.tune import tune
from tests.conftest import MakeCheckpoint
from tests.integration.conftest import Listener
from validation.errors import DataError

HEAD = "sequence_classification"
INT8 = VariantName(target="onnxruntime-cpu", precision="int8")
BOTH = (*Recipe(name="both", checkpoint="x").variants, INT8)
LABELLED = '{"text": "good", "label": "LABEL_1"}\n'


def built(recipe: Recipe, folder: Path) -> None:
    """Build `recipe` with both variants; no stage may start."""
    listener = Listener()
    try:
        build(replace(recipe, head=HEAD, variants=BOTH), folder / "artifacts", listener)
    finally:
        assert listener.worked == []
        assert not (folder / "artifacts").exists()


@pytest.mark.parametrize(
    ("exclude", "hint"),
    [
        ("*.attention.q_line", "did you mean '*.attention.q_lin'"),
        ("clasifier", "did you mean 'classifier'"),
        ("*.sa_layer_norm", "stands for anything"),
    ],
)
def test_an_exclude_that_names_no_module(exclude: str, hint: str, tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"unknown module '{exclude.replace('*', chr(92) + '*')}'") as caught:
        built(replace(tiny, exclude=(exclude,)), tmp_path)
    assert hint in caught.value.hint
    assert "distilbert.transformer.layer.*.ffn.lin1" in caught.value.message


@pytest.mark.parametrize(
    ("name", "hint"), [("attention_mha", ""), ("int8_dynamc", "did you mean 'int8_dynamic'?")]
)
def test_what_may_depend_on_the_batch_is_a_scheme(name: str, hint: str, tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"unknown scheme in gates.batch_dependent '{name}'") as caught:
        built(replace(tiny, gates=replace(tiny.gates, batch_dependent=(name,))), tmp_path)
    assert caught.value.hint == hint


def test_an_unknown_head(tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown head 'bogus'"):
        build(replace(tiny, head="bogus"), tmp_path / "artifacts", Listener())
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[int8\n", "not a readable TOML file"),
        ("[fp32]\n[int8]\npass = []\n", "unknown field 'pass'"),
        ('[fp32]\npasses = ["attention_scal"]\n', "plans.toml: fp32: unknown pass 'attention_scal'"),
        (
            '[fp32]\n[int8]\nscheme = "int8_static"\nfinal_passes = ["integer_matmull"]\n',
            "plans.toml: int8: unknown pass 'integer_matmull'",
        ),
    ],
)
def test_plans(content: str, says: str, tiny: Recipe, tmp_path: Path) -> None:
    plans = tmp_path / "plans.toml"
    plans.write_text(content)
    with pytest.raises(UsageError, match=says):
        built(replace(tiny, plans=plans), tmp_path)


def test_a_pass_that_does_not_exist_is_found_before_the_head_is_known(tiny: Recipe, tmp_path: Path) -> None:
    plans = tmp_path / "plans.toml"
    plans.write_text('[fp32]\npasses = ["attention_scal"]\n')
    listener = Listener()
    with pytest.raises(UsageError, match="unknown pass 'attention_scal'") as caught:
        build(replace(tiny, head=None, plans=plans), tmp_path / "artifacts", listener)
    assert caught.value.hint == "did you mean 'attention_scale'?"
    assert listener.worked == []


@pytest.mark.parametrize(
    ("table", "head", "stages"), [("", HEAD, []), (f"[bf16.heads.{HEAD}]\n", None, ["export"])]
)
def test_a_plan_that_excludes_what_no_scheme_changes(
    table: str, head: str | None, stages: list[str], tiny: Recipe, tmp_path: Path
) -> None:
    """It is found before any work, or as soon as the head is known."""
    plans = tmp_path / "plans.toml"
    plans.write_text(f'[bf16]\nscheme = "bf16_by_engine"\n{table}exclude = ["classifier"]\n')
    variants = (VariantName(target="openvino", precision="bf16"),)
    listener = Listener()
    with pytest.raises(
        UsageError, match=r"plans\.toml: bf16: the scheme bf16_by_engine does not take exclude"
    ):
        build(replace(tiny, head=head, variants=variants, plans=plans), tmp_path / "artifacts", listener)
    assert listener.worked == stages


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux never lets be read")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_checkpoint_that_links_to_a_file_of_the_system(name: str, tiny: Recipe, tmp_path: Path) -> None:
    file = Path(tiny.checkpoint) / name
    file.unlink()
    # Reading it is an input/output error even for root, so the link is refused before
    file.symlink_to("/proc/self/mem")
    with pytest.raises(CheckpointError, match=f"{name} is a link that leads out of the checkpoint"):
        built(tiny, tmp_path)


def test_an_exclude_that_names_everything(tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"excluding embeddings\*, \*_lin\*, \* leaves nothing to quantize"):
        built(replace(tiny, exclude=("embeddings*", "*_lin*", "*")), tmp_path)


@pytest.mark.parametrize(
    ("head", "field", "stages", "says"),
    [
        (HEAD, "exclude", [], "unknown module 'data.jsonl'"),
        (HEAD, "evaluation", [], r"data\.jsonl:1: not JSON"),
        (None, "calibration", ["export"], r"data\.jsonl:1: not JSON"),
    ],
)
def test_a_search_makes_the_same_checks(
    head: str | None, field: str, stages: list[str], says: str, tiny: Recipe, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("text\n", encoding="utf-8")
    changes: dict[str, object] = {field: (data.name,) if field == "exclude" else data}
    listener = Listener()
    with pytest.raises((UsageError, DataError), match=says):
        tune(
            replace(tiny, head=head, **changes),  # type: ignore[arg-type]
            INT8,
            minutes=1,
            output=tmp_path / "plans.toml",
            artifacts=tmp_path / "artifacts",
            seed=0,
            listener=listener,
        )
    assert listener.worked == stages
    assert not list(tmp_path.glob("plans*.jsonl"))


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        ("evaluation", "text\n", r"data\.jsonl:1: not JSON"),
        ("evaluation", LABELLED, r"data\.jsonl holds 1 example; an interval needs at least 2"),
        ("evaluation", LABELLED + LABELLED.replace("_1", "_7"), r"data\.jsonl:2.*LABEL_7"),
        ("calibration", '{"body": "good"}\n', r"data\.jsonl:1: lacks the field 'text'"),
    ],
    ids=["malformed", "one example", "unknown label", "misspelt calibration"],
)
def test_texts(kind: str, content: str, says: str, tiny: Recipe, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        built(replace(tiny, **{kind: data}), tmp_path)  # type: ignore[arg-type]


def test_a_tokenizer(tiny: Recipe, tmp_path: Path) -> None:
    (Path(tiny.checkpoint) / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"the tokenizer of .* is damaged"):
        built(tiny, tmp_path)


def test_texts_for_a_head_that_config_json_names_are_read_before_the_variants(
    tiny: Recipe, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("text\n", encoding="utf-8")
    listener = Listener()
    with pytest.raises(DataError, match="not JSON"):
        build(replace(tiny, head=None, evaluation=data), tmp_path / "artifacts", listener)
    assert listener.worked == ["export"]


@pytest.mark.parametrize("head", ["features", HEAD])
def test_shapes_are_those_of_the_model(head: str, make_checkpoint: MakeCheckpoint) -> None:
    folder = find(make_checkpoint(head, n_layers=1))
    shapes = folder.shapes()
    assert shapes["distilbert.transformer.layer.0.ffn.lin1.bias"] == (64,)
    assert len(shapes["distilbert.embeddings.word_embeddings.weight"]) == 2
    (folder.path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="is damaged"):
        folder.shapes()


def test_pickled_weights_are_checked_when_they_are_loaded(tiny: Recipe, tmp_path: Path) -> None:
    weights = Path(tiny.checkpoint) / "model.safetensors"
    weights.unlink()
    torch.save({}, weights.with_name("pytorch_model.bin"))
    assert find(tiny.checkpoint).shapes() == {}
    with pytest.raises(CheckpointError, match="missing"):
        build(
            replace(tiny, head=HEAD, variants=BOTH, exclude=("nothing",)),
            tmp_path / "artifacts",
            Listener(),
        )


def test_a_build_that_quantizes_nothing_accepts_an_exclude(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, exclude=("*.ffn.lin1",))
    assert build(recipe, tmp_path / "artifacts", Listener(), until="compile").new
