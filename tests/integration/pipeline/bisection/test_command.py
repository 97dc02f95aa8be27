"""`distilforge bisect`: results on stdout, progress on stderr, errors with an exit code."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import onnx_ir
from distilforge.manifest import Variant
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.graph import file as graphs
from pipeline.passes import registry
from pipeline.passes.base import apply
from tests.integration.conftest import run_command
from tests.runtime_release import GRAPH, PASSED, published, read_manifest, record_files, write_manifest

LIN2 = "distilbert.transformer.layer.0.ffn.lin2"
FUSED = "onnx/model_fused.onnx"


def release_with_a_fault(folder: Path) -> Path:
    """A release whose second variant has packed projections and one weight that is wrong."""
    release = Path(shutil.copytree(published("sequence_classification").release, folder))
    return with_a_fault(release, "packed_qkv")


def with_a_fault(release: Path, name: str) -> Path:
    """`release` with a second variant, to which the pass `name` was applied, and one weight of which is wrong."""
    graph = graphs.load(release / GRAPH)
    rewrites = apply(graph, [registry.find(name)])
    value = graph.graph.initializers[f"{LIN2}.weight"]
    assert value.const_value is not None
    value.const_value = onnx_ir.tensor(value.const_value.numpy() * 2, name=value.name)
    graphs.save(graph, release / FUSED)
    manifest = read_manifest(release)
    reference = manifest.variants[0]
    added = Variant(
        target="onnxruntime-cpu",
        precision="fused",
        files=(FUSED,),
        validated=True,
        verdicts=PASSED,
        passes=(*reference.passes, *rewrites),
    )
    write_manifest(
        release, replace(manifest, variants=(*manifest.variants, added), files=record_files(release))
    )
    return release


def test_a_table_on_stdout_and_progress_on_stderr(tmp_path: Path) -> None:
    shown = run_command("bisect", release_with_a_fault(tmp_path / "release"))
    assert shown.returncode == 0, shown.stderr
    assert f'exclude = ["{LIN2}"]' in shown.stdout
    assert "quantizing each module alone" in shown.stderr


def invoke(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command, which runs in this process."""
    ran = CliRunner().invoke(app, ["bisect", *map(str, arguments)])
    return ran.exit_code, ran.stdout, ran.stderr


def test_json_has_the_same(tmp_path: Path) -> None:
    code, stdout, _ = invoke(release_with_a_fault(tmp_path / "release"), "--json")
    assert code == 0
    printed = json.loads(stdout)
    assert printed["variant"] == "onnxruntime-cpu:fused"
    assert [module["name"] for module in printed["modules"]] == [LIN2]
    assert printed["modules"][0]["own_decibels"] < 10


def test_padding_that_only_the_variant_drops(tmp_path: Path) -> None:
    release = Path(shutil.copytree(published("sequence_classification").release, tmp_path / "release"))
    graph = graphs.load(release / GRAPH)
    flattened = apply(graph, [registry.find("flatten_tokens")])
    graphs.save(graph, release / GRAPH)
    manifest = read_manifest(release)
    reference = replace(manifest.variants[0], passes=flattened)
    write_manifest(release, replace(manifest, variants=(reference,), files=record_files(release)))
    data = tmp_path / "ragged.jsonl"
    # Batches of texts of different lengths have padding
    lines = [json.dumps({"text": "good film " * count, "label": count % 2}) for count in range(1, 9)]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")

    code, stdout, stderr = invoke(with_a_fault(release, "drop_padding"), "--data", data, "--json")
    assert code == 0, stderr
    assert [module["name"] for module in json.loads(stdout)["modules"]] == [LIN2]


def test_errors_have_an_exit_code_and_print_no_result(tmp_path: Path) -> None:
    code, stdout, stderr = invoke(published("sequence_classification").release)
    assert (code, stdout) == (2, "")
    assert "nothing to bisect" in stderr
    code, stdout, stderr = invoke(tmp_path / "nowhere")
    assert (code, stdout) == (4, "")
    assert "there is no such folder" in stderr
