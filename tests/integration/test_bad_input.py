"""Mistakes of users: every one has its exit code, and a message that names the problem and the next step."""

import json
import os
import pickle
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from distilforge.manifest import Span
from distilforge.release import resolve, verify
from typer.testing import CliRunner

from pipeline.build import build
from pipeline.cli.app import app
from pipeline.errors import UsageError
from pipeline.recipe.recipe import Recipe
from tests.conftest import VOCABULARY, write_tokenizer
from tests.integration.conftest import Listener, Release, shared_export, write_evaluation, write_recipe

WEIGHTS = "model.safetensors"
TENSOR = "distilbert.transformer.layer.0.attention.q_lin.weight"


def refused(
    recipe: Recipe, folder: Path, *, code: int, says: tuple[str, ...], artifacts: Path | None = None
) -> None:
    """Build `recipe` on the command line: it exits with `code`, its message has `says`, and nothing is published."""
    artifacts = artifacts or folder / "artifacts"
    ran = CliRunner().invoke(app, ["build", str(write_recipe(recipe, folder)), "--artifacts", str(artifacts)])
    assert ran.exit_code == code, ran.output
    assert ran.stdout == ""
    for part in (*says, "error: ", "hint: "):
        assert part in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (artifacts / recipe.name).exists()
    assert not list(artifacts.glob(".work/*/*.aside"))


def change_tensors(recipe: Recipe, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    path = Path(recipe.checkpoint) / WEIGHTS
    tensors = safetensors.torch.load_file(path)
    change(tensors)
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


def test_no_folder(tiny: Recipe, tmp_path: Path) -> None:
    absent = replace(tiny, checkpoint=str(tmp_path / "nowhere"))
    refused(absent, tmp_path, code=4, says=("there is no folder", str(tmp_path / "nowhere")))


def test_no_config(tiny: Recipe, tmp_path: Path) -> None:
    (Path(tiny.checkpoint) / "config.json").unlink()
    refused(tiny, tmp_path, code=4, says=("has no config.json",))


def test_another_model_type(tiny: Recipe, tmp_path: Path) -> None:
    path = Path(tiny.checkpoint) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "bert"}))
    refused(tiny, tmp_path, code=4, says=("model_type is 'bert', not 'distilbert'",))


def test_an_axis_of_one_size(tiny: Recipe, tmp_path: Path) -> None:
    fixed = replace(tiny, spans={"batch": Span(low=8, usual=8, high=8)})
    with pytest.raises(UsageError, match="span of 'batch' has the one size 8") as raised:
        build(fixed, tmp_path / "artifacts", Listener())
    assert "batch = [7, 8, 8]" in raised.value.hint
    assert build(fixed, tmp_path / "artifacts", Listener(), until="export").new


def test_a_label_that_is_too_long(tiny: Recipe, tmp_path: Path) -> None:
    path = Path(tiny.checkpoint) / "config.json"
    labels = {"0": "bad", "1": "good" * 2_501}
    path.write_text(json.dumps({**json.loads(path.read_text()), "id2label": labels}))
    refused(tiny, tmp_path, code=4, says=("has 10,004 characters; at most 10,000", "id2label"))


def test_a_url_is_no_folder_for_releases_and_its_secrets_are_not_shown(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    url = "https://me:secret@example.org/a?token=secret"
    for arguments in (
        ("build", tiny.checkpoint, "--artifacts", url),
        ("build", tiny.checkpoint, "--data", url),
        ("verify", url),
        ("fuse", url, "--pass", "attention_mha", "--output", "o.onnx"),
    ):
        ran = CliRunner().invoke(app, list(arguments))
        assert ran.exit_code in (2, 4), ran.stderr
        assert "secret" not in ran.stderr
        assert "***" in ran.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_tensor(tiny: Recipe, tmp_path: Path) -> None:
    change_tensors(tiny, lambda tensors: tensors.pop(TENSOR))
    refused(tiny, tmp_path, code=4, says=(TENSOR,))


def test_a_tensor_of_the_wrong_shape(tiny: Recipe, tmp_path: Path) -> None:
    change_tensors(tiny, lambda tensors: tensors.update({TENSOR: torch.zeros(3, 32)}))
    refused(tiny, tmp_path, code=4, says=(TENSOR, "3"))


def test_weights_that_are_nan(tiny: Recipe, tmp_path: Path) -> None:
    change_tensors(tiny, lambda tensors: tensors[TENSOR].view(-1)[0].fill_(float("nan")))
    refused(tiny, tmp_path, code=4, says=(TENSOR, "1 values that are NaN or infinite"))


def test_a_pickle_that_would_run_code(tiny: Recipe, tmp_path: Path) -> None:
    witness = tmp_path / "it ran"

    class Runs:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(witness),))

    folder = Path(tiny.checkpoint)
    (folder / WEIGHTS).unlink()
    torch.save({"x": Runs()}, folder / "pytorch_model.bin")
    refused(tiny, tmp_path, code=4, says=("pytorch_model.bin is not trusted",))
    assert not witness.exists()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Runs(), protocol=2))
    refused(tiny, tmp_path, code=4, says=("pytorch_model.bin",))
    assert not witness.exists()


def test_a_tokenizer_with_more_entries_than_embeddings(tiny: Recipe, tmp_path: Path) -> None:
    write_tokenizer(Path(tiny.checkpoint), (*VOCABULARY, "one", "more"))
    entries = len(dict.fromkeys(VOCABULARY))
    says = (f"has {entries + 2} entries, the model only {entries} embeddings",)
    refused(tiny, tmp_path, code=4, says=says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"text": "good", "label": "LABEL_1"}\n{"text": \n', ("evaluation.jsonl:2",)),
        ("", ("evaluation.jsonl",)),
        ('{"text": "good", "label": "LABEL_7"}\n', ("evaluation.jsonl:1", "LABEL_7", "LABEL_0, LABEL_1")),
        (None, ("evaluation.jsonl:1",)),
    ],
    ids=["malformed", "empty", "unknown label", "another head's"],
)
def test_evaluation_data(
    content: str | None, says: tuple[str, ...], release_of: Callable[[str], Release], tmp_path: Path
) -> None:
    release = release_of("sequence_classification")
    path = tmp_path / "evaluation.jsonl"
    if content is None:
        content = write_evaluation("question_answering", tmp_path).read_text()
    path.write_text(content)
    given = replace(release.recipe, name="bad-data", evaluation=path)
    refused(given, tmp_path, code=2, says=says, artifacts=release.artifacts)


@pytest.mark.parametrize("artifacts", ["a file", "a file/below", "/proc/artifacts"])
def test_an_artifacts_folder_that_cannot_be_written(artifacts: str, tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    says = ("cannot write to the artifacts folder", "--artifacts")
    refused(tiny, tmp_path, code=2, says=says, artifacts=tmp_path / artifacts)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "{name}.onnx", "--for", "tensorrt-rtx"),
        ("build", "{checkpoint}", "--artifacts", "{name}"),
        ("fuse", "{name}.onnx", "--pass", "constants", "--output", "{name}2.onnx"),
        ("verify", "{name}"),
        ("pull", "{name}", "--output", "{name}"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_a_path_that_cannot_be_looked_at(arguments: tuple[str, ...], tiny: Recipe, tmp_path: Path) -> None:
    name = str(tmp_path / ("a" * 300))
    given = [argument.format(name=name, checkpoint=tiny.checkpoint) for argument in arguments]
    ran = CliRunner().invoke(app, given)
    assert ran.exit_code in (2, 4), ran.output
    assert ran.stderr.startswith("error: ")
    assert "hint: " in ran.stderr
    assert "Traceback" not in ran.output


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of `size` bytes at `folder`; skips where this user may not mount."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"may not mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(("size", "stage"), [("32k", "export"), ("128k", "compile"), ("300k", "publish")])
def test_a_full_disk(size: str, stage: str, tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "disk"
    with small_disk(artifacts, size):
        says = (f"stage {stage} failed: the disk is full", "make room")
        refused(tiny, tmp_path, code=5, says=says, artifacts=artifacts)
        # With room, the same command goes on from where it stopped.
        subprocess.run(["mount", "-o", "remount,size=20m", str(artifacts)], check=True)
        ran = CliRunner().invoke(
            app, ["build", str(write_recipe(tiny, tmp_path)), "--artifacts", str(artifacts)]
        )
        assert ran.exit_code == 0, ran.output
        verify(resolve(artifacts / tiny.name))


def test_files_that_may_not_grow(tiny: Recipe, tmp_path: Path) -> None:
    # It is kept outside of the folder, in a file that is larger
    shared_export(tiny)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        refused(tiny, tmp_path, code=5, says=("stage export failed: a file grew beyond the limit",))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["build", "x", "--variant", "onnxruntime-cpi:fp32"], "did you mean 'onnxruntime-cpu'"),
        (["build", "x", "--variant", "fp32"], "a variant is target:precision, found 'fp32'"),
        (["build", "absent.toml"], "there is no recipe absent.toml"),
        (
            ["build", "x", "y", "--name", "same"],
            "the name 'same', among them 'x' and 'y': --name gives 'same' to",
        ),
        (
            ["build", "x", "y", "--name", "same"],
            "hint: give each release a name of its own: build one source at a",
        ),
        (["build", "a/x", "b/x"], "2 builds would publish under the name 'x', among them 'a/x' and 'b/x'"),
        (["build", "x", "x"], "hint: give each source once"),
        (["build", "x", "--data", "absent.jsonl"], "no evaluation data at absent.jsonl"),
        (
            ["build", "x", "--capability", "8.6"],
            "--capability applies only to engines, and no variant is an engine",
        ),
        (["build", "x", "--bucket", "64"], "--bucket applies only to engines, and no variant is an engine"),
        (
            ["build", "x", "--exclude", "q_lin"],
            "--exclude q_lin has no effect: the graph of every variant is in fp32",
        ),
        (["build", "x", "--gate", "maybe"], "'maybe' is not one of 'enforce'"),
        (["build"], "Missing argument"),
        (["list", "things"], "'things' is not one of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage(arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, arguments, terminal_width=200)
    assert ran.exit_code == 2
    assert says in " ".join(ran.stderr.split())
    assert not list(tmp_path.iterdir())


def test_an_unknown_head(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    ran = CliRunner().invoke(
        app, ["build", tiny.checkpoint, "--head", "sequence_clasification", "--artifacts", str(artifacts)]
    )
    assert ran.exit_code == 2
    assert "did you mean 'sequence_classification'?" in ran.stderr
    assert not (artifacts / "checkpoint").exists()
