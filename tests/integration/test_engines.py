"""Releases with engines, built without a device: what is published, opened and shown, and what is built again."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import distilforge
import onnx
import pytest
from distilforge.cuda.driver import survey
from distilforge.errors import UnavailableError
from distilforge.release import verify

from model_src import heads
from pipeline.build import build
from pipeline.engines.options import EngineOptions
from pipeline.errors import MissingError
from pipeline.recipe.recipe import DEFAULT_VARIANTS, Recipe, VariantName
from pipeline.release import model_card, summary
from pipeline.store.versions import installed
from tests.conftest import MakeCheckpoint
from tests.engine_graphs import graph_file
from tests.integration.conftest import QUICK, Listener, run_command, write_evaluation
from validation.gates import LIMITS, Limits

# Eight texts cannot show a loss below a point, and the scores of a random model nearly tie
LENIENT = replace(QUICK, margin=0.3, limits={**LIMITS, "fp16": Limits(noise=0.05), "int8": Limits(noise=0.9)})
PRECISIONS = ("fp16", "int8")
without_a_device = pytest.mark.skipif(not isinstance(survey(), str), reason="this machine has a device")


def recipe_of(head: str, folder: Path, make_checkpoint: MakeCheckpoint) -> Recipe:
    evaluation = write_evaluation(head, folder)
    checkpoint = make_checkpoint(head, folder=folder / "checkpoint", n_layers=2, dim=64, n_heads=4)
    return Recipe(
        name=head,
        checkpoint=str(checkpoint),
        evaluation=evaluation,
        calibration=evaluation,
        gates=LENIENT,
        variants=(
            *DEFAULT_VARIANTS,
            *(VariantName(target="tensorrt-rtx", precision=precision) for precision in PRECISIONS),
        ),
    )


@without_a_device
@pytest.mark.parametrize("head", heads.names())
def test_every_head_is_published_with_engines(
    head: str, tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    recipe = recipe_of(head, tmp_path, make_checkpoint)
    built = build(recipe, tmp_path / "artifacts", Listener())
    manifest = verify(built.folder)
    _, *engines = manifest.variants
    assert [variant.name for variant in engines] == [f"tensorrt-rtx:{precision}" for precision in PRECISIONS]
    for variant, precision in zip(engines, PRECISIONS, strict=True):
        stem = f"tensorrt/rtx-{precision}"
        assert variant.files == (f"{stem}.engine", f"{stem}.onnx")
        assert variant.oracle == f"{stem}.onnx"
        assert variant.validated
        assert variant.measurements == ()
        assert any(note.startswith("Not run on a device, since ") for note in variant.notes)
        assert any("for weights alone" in note for note in variant.notes) == (precision == "int8")
        compiled = variant.compiled
        assert compiled is not None
        assert compiled.bytes == manifest.files[variant.files[0]].bytes
        assert compiled.build_seconds > 0
        assert compiled.capabilities == ("8.0", "8.6", "8.9", "12.0+")
        assert compiled.profiles == (manifest.spans,)
        assert sum(compiled.precisions.values()) > 0
        assert f"{stem}.engine" in manifest.files

    session = distilforge.open(built.folder, threads=1)
    assert session.variant.target == "onnxruntime-cpu"
    with pytest.raises(UnavailableError, match="cannot run on this machine") as caught:
        distilforge.open(built.folder, variant="tensorrt-rtx:fp16")
    assert "onnxruntime-cpu:fp32" in caught.value.hint

    lines = summary.lines(manifest)
    assert [line.capabilities for line in lines[1:]] == [
        variant.compiled.capabilities for variant in engines if variant.compiled
    ]
    assert all(len(line.cells()) == len(summary.COLUMNS) for line in lines)
    card = model_card.render(manifest, heads.find(head).architecture)
    assert "## Engines" in card
    assert "8.0 8.6 8.9 12.0+" in card


@without_a_device
def test_engines_for_a_provider_of_onnxruntime_are_judged_and_published_alike(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    recipe = recipe_of("sequence_classification", tmp_path, make_checkpoint)
    names = tuple(VariantName(target="onnxruntime-rtx", precision=precision) for precision in PRECISIONS)
    built = build(replace(recipe, variants=(*DEFAULT_VARIANTS, *names)), tmp_path / "artifacts", Listener())
    manifest = verify(built.folder)
    _, *engines = manifest.variants
    assert [variant.name for variant in engines] == list(map(str, names))
    for variant, precision in zip(engines, PRECISIONS, strict=True):
        stem = f"tensorrt/onnxruntime-rtx-{precision}"
        assert variant.files == (f"{stem}_ctx.onnx", f"{stem}.engine", f"{stem}.onnx")
        assert variant.oracle == f"{stem}.onnx"
        assert variant.validated
        assert variant.measurements == ()
        (note,) = [note for note in variant.notes if note.startswith("Not run on a device, since ")]
        assert f"{stem}.onnx" in note
        assert "TensorRT-RTX compiled" in note
        compiled = variant.compiled
        assert compiled is not None
        assert compiled.capabilities == ("8.6", "8.9", "12.0+")
        assert compiled.bytes == manifest.files[f"{stem}.engine"].bytes

        model = onnx.load(built.folder / f"{stem}_ctx.onnx").graph
        for values, tensors in ((model.input, manifest.inputs), (model.output, manifest.outputs)):
            for value, tensor in zip(values, tensors, strict=True):
                sizes = value.type.tensor_type.shape.dim
                assert (value.name, tuple(size.dim_param or size.dim_value for size in sizes)) == (
                    tensor.name,
                    tensor.shape,
                )
                assert onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) == tensor.dtype

    assert distilforge.open(built.folder, threads=1).variant.target == "onnxruntime-cpu"
    with pytest.raises(
        UnavailableError, match=r"'onnxruntime-rtx:fp16' cannot run .*of compute capability 8\.6"
    ):
        distilforge.open(built.folder, variant="onnxruntime-rtx:fp16")


@without_a_device
def test_another_capability_builds_engines_again_and_quantizes_nothing(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    recipe = recipe_of("sequence_classification", tmp_path, make_checkpoint)
    build(recipe, tmp_path / "artifacts", Listener(), until="compile")
    again, other = Listener(), Listener()
    build(recipe, tmp_path / "artifacts", again, until="compile")
    assert again.worked == []
    named = replace(recipe, engine=EngineOptions(capabilities=("8.6",), buckets=(16,)))
    built = build(named, tmp_path / "artifacts", other, until="compile")
    assert other.worked == ["engine", "engine"]
    variant = json.loads((built.folder / "variant.json").read_text(encoding="utf-8"))
    assert variant["compiled"]["capabilities"] == ["8.6"]
    assert [profile["sequence"]["high"] for profile in variant["compiled"]["profiles"]] == [16, 64]


@without_a_device
def test_an_option_that_needs_a_driver_is_refused_before_any_work(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    recipe = recipe_of("sequence_classification", tmp_path, make_checkpoint)
    stripped = replace(recipe, engine=EngineOptions(weights_stripped=True, capabilities=("8.6",)))
    listener = Listener()
    with pytest.raises(MissingError, match="weights_stripped is built only on a machine with a device"):
        build(stripped, tmp_path / "artifacts", listener)
    assert listener.worked == []


@pytest.mark.skipif(installed("tensorrt") is not None, reason="TensorRT is installed")
@pytest.mark.parametrize("target", ["tensorrt", "onnxruntime-tensorrt"])
def test_an_absent_toolkit_is_refused_before_any_work(
    target: str, tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    recipe = recipe_of("sequence_classification", tmp_path, make_checkpoint)
    listener = Listener()
    with pytest.raises(MissingError, match=f"the target {target} needs the package tensorrt"):
        build(
            replace(recipe, variants=(VariantName(target=target, precision="fp16"),)),
            tmp_path / "artifacts",
            listener,
        )
    assert listener.worked == []


BUILD = """
import os, signal, sys
from pathlib import Path
from distilforge.manifest import Span
from pipeline.engines.build import build
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from pipeline.engines.options import EngineOptions

def tell(process):
    os.kill(process.pid, signal.SIGSTOP)
    print(process.pid, flush=True)

spans = {"batch": Span(low=1, usual=2, high=4), "sequence": Span(low=1, usual=8, high=16)}
graph, engine = map(Path, sys.argv[1:])
build(graph, TENSORRT_RTX, EngineOptions(), spans, engine, progress=print, watch=tell)
"""


def test_a_compiler_ends_with_a_build_that_is_killed(tmp_path: Path) -> None:
    graph = graph_file("features", "fp16")
    command = [sys.executable, "-c", BUILD, str(graph), str(tmp_path / "rtx.engine")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = Path("/proc") / process.stdout.readline().strip()
        assert worker.name
        assert worker.exists()
        process.kill()
    # It was stopped before it could ask the system to kill it, and now notices that its parent has ended
    os.kill(int(worker.name), signal.SIGCONT)
    end = time.monotonic() + 20
    while worker.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not worker.exists()
    assert not (tmp_path / "rtx.engine").exists()


def test_a_capability_that_cannot_be_compiled_for_is_a_usage_error(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    checkpoint = make_checkpoint("sequence_classification", n_layers=1)
    told = run_command(
        *("build", checkpoint, "--variant", "tensorrt-rtx:fp16", "--capability", "9.0"),
        *("--artifacts", tmp_path / "artifacts"),
    )
    assert told.returncode == 2
    assert "cannot compile for compute capability 9.0" in told.stderr
    assert "8.0, 8.6, 8.9" in told.stderr
