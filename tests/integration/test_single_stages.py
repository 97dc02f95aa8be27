"""`distilforge fuse`, `quantize` and `list` as scripts use them, and builds with --plans and --exclude."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import onnx.parser
import pytest
from distilforge.manifest import Variant, Withheld
from distilforge.release import read_manifest
from typer.testing import CliRunner

from pipeline.cli import display
from pipeline.cli.app import app
from pipeline.graph import file as graph_file
from pipeline.passes import registry
from pipeline.precision import schemes
from pipeline.recipe.plan import PRESETS
from pipeline.stages import origin
from tests.integration.conftest import Release, run, write_recipe

ReleaseOf = Callable[[str], Release]
HEAD = "sequence_classification"


@pytest.fixture
def exported(release_of: ReleaseOf, tmp_path: Path) -> Path:
    """The graph that `distilforge export` wrote."""
    release = release_of(HEAD)
    recipe = write_recipe(release.recipe, tmp_path)
    return Path(run("export", recipe, "--artifacts", release.artifacts).strip()) / "model.onnx"


def test_fuse_prints_the_counts_and_writes_the_graph(exported: Path, tmp_path: Path) -> None:
    output = tmp_path / "fused.onnx"
    given = ("fuse", exported, "--pass", "flatten_tokens", "--pass", "attention_mha", "--output", output)
    shown = run(*given)
    assert shown.index("attention_mha") < shown.index("flatten_tokens") < shown.index(str(output))
    assert any(node.op_type == "MultiHeadAttention" for node in graph_file.load(output).graph)
    values = json.loads(run(*given, "--json"))
    assert values["files"] == [str(output)]
    assert values["passes"][0] == {"name": "attention_mha", "rewrites": 1}


def test_fuse_names_the_pass_that_no_longer_matches(exported: Path, tmp_path: Path) -> None:
    fused, again = tmp_path / "fused.onnx", tmp_path / "again.onnx"
    run("fuse", exported, "--pass", "attention_mha", "--output", fused)
    error = run("fuse", fused, "--pass", "attention_mha", "--output", again, code=5)
    assert "attention_mha matched 0 times, must match at least 1 times" in error
    assert "hint: the graph was fused before: it has MultiHeadAttention" in error
    assert not again.exists()


@pytest.mark.parametrize("scheme", ["int8_static", "int8_dynamic", "fp16"])
def test_quantize_reads_texts_with_the_checkpoints_tokenizer(
    scheme: str, exported: Path, release_of: ReleaseOf, tmp_path: Path
) -> None:
    release, output = release_of(HEAD), tmp_path / "out" / "model.onnx"
    given = (
        *("quantize", exported, "--scheme", scheme, "--checkpoint", release.checkpoint, "--output", output),
        *("--calibration", release.recipe.evaluation or "", "--json"),
    )
    values = json.loads(run(*given))
    assert values["files"] == [str(output)]
    assert output.is_file()
    # The quantized graph is smaller than its source
    assert output.stat().st_size < exported.with_name("model.onnx_data").stat().st_size


@pytest.mark.parametrize("scheme", ["int8_static", "fp16"])
def test_quantize_refuses_a_quantized_graph(
    scheme: str, exported: Path, release_of: ReleaseOf, tmp_path: Path
) -> None:
    release, once, twice = release_of(HEAD), tmp_path / "once.onnx", tmp_path / "twice.onnx"
    given = ("--checkpoint", release.checkpoint, "--calibration", release.recipe.evaluation or "")
    run("quantize", exported, "--scheme", scheme, *given, "--output", once)
    for again in ("int8_static", "int8_dynamic", "fp16"):
        error = run("quantize", once, "--scheme", again, *given, "--output", twice, code=2)
        assert "already" in error
        assert "give the fp32 graph" in error
        assert not twice.exists()


def test_quantize_refuses_another_checkpoint_where_the_graph_says_its_own(
    exported: Path, release_of: ReleaseOf, tmp_path: Path
) -> None:
    release = release_of(HEAD)
    other = shutil.copytree(release.checkpoint, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"dropout": 0.3}))
    given = ("--scheme", "int8_dynamic", "--output", tmp_path / "o.onnx", "--checkpoint")
    error = run("quantize", exported, *given, other, code=2)
    assert f"{other} is not the checkpoint that {exported} was exported from: config.json differ" in error
    own = release.folder / "onnx" / "model.onnx"
    error = run("quantize", own, *given, other, code=2)
    assert f"{other} is not the checkpoint of {read_manifest(release.folder).name} " in error
    run("quantize", exported, *given, release.checkpoint)
    # A copy alone does not say where it comes from
    copy = tmp_path / "model.onnx"
    run("fuse", exported, "--pass", "constants", "--output", copy)
    run("quantize", copy, *given, other)


def test_quantize_needs_no_weights_and_says_what_was_not_compared(
    exported: Path, release_of: ReleaseOf, tmp_path: Path
) -> None:
    release = release_of(HEAD)
    light = shutil.copytree(
        release.checkpoint, tmp_path / "light", ignore=shutil.ignore_patterns("*.safetensors")
    )
    given = ("--scheme", "int8_static", "--calibration", release.recipe.evaluation or "", "--json")
    for graph, said in (
        (exported, f"{light} has no weights, so that only config.json was compared with"),
        (release.folder / "onnx" / "model.onnx", f"{light} has no weights, so that it was not compared with"),
    ):
        written = [tmp_path / "light.onnx", tmp_path / "whole.onnx"]
        values = [
            json.loads(run("quantize", graph, *given, "--checkpoint", checkpoint, "--output", output))
            for checkpoint, output in zip((light, release.checkpoint), written, strict=True)
        ]
        assert values[0]["notes"] == [f"{said} the checkpoint of {graph}", *values[1]["notes"]]
        assert written[0].read_bytes() == written[1].read_bytes()
    config = json.loads((light / "config.json").read_text())
    (light / "config.json").write_text(json.dumps(config | {"dropout": 0.3}))
    error = run("quantize", exported, *given, "--checkpoint", light, "--output", tmp_path / "o.onnx", code=2)
    assert f"{light} is not the checkpoint that {exported} was exported from: config.json differ" in error


def test_quantize_refuses_another_head_where_the_graph_says_its_own(
    exported: Path, release_of: ReleaseOf, tmp_path: Path
) -> None:
    release = release_of(HEAD)
    given = ("--scheme", "int8_dynamic", "--output", tmp_path / "o.onnx", "--checkpoint", release.checkpoint)
    for graph in (exported, release.folder / "onnx" / "model.onnx"):
        error = run("quantize", graph, *given, "--head", "question_answering", code=2)
        assert f"{graph} has the head {HEAD}, and question_answering was asked for\n  hint: " in error
        run("quantize", graph, *given, "--head", HEAD)


def test_an_exported_graph_has_the_head_that_it_was_exported_with(
    release_of: ReleaseOf, tmp_path: Path
) -> None:
    """config.json names another one."""
    release = release_of(HEAD)
    export = ("export", release.checkpoint, "--head", "features", "--artifacts", tmp_path / "artifacts")
    graph = Path(run(*export).strip()) / "model.onnx"
    assert origin.check_graph(str(release.checkpoint), graph, None).head == "features"
    error = run(
        *("quantize", graph, "--scheme", "int8_dynamic", "--checkpoint", release.checkpoint, "--head", HEAD),
        *("--output", tmp_path / "o.onnx"),
        code=2,
    )
    assert f"has the head features, and {HEAD} was asked for" in error


def test_files_that_cannot_be_read_or_written_are_named(exported: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(exported.read_bytes())
    error = run("fuse", alone, "--pass", "constants", "--output", tmp_path / "fused.onnx", code=2)
    assert "'model.onnx_data', which is not beside it" in error
    alone.with_name("model.onnx_data").write_bytes(b"0" * 1000)
    error = run("fuse", alone, "--pass", "constants", "--output", tmp_path / "fused.onnx", code=2)
    assert "'model.onnx_data', which has 1000 bytes; the weights need " in error
    error = run("fuse", exported, "--pass", "constants", "--output", alone / "fused.onnx", code=2)
    assert "cannot be written" in error


def test_only_ordinary_files_are_written_over(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for output in (tmp_path / "folder", Path("/dev/full")):
        error = run("fuse", exported, "--pass", "constants", "--output", output, code=2)
        assert f"{output} cannot be written: it exists and is not a file" in error
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(sys.platform != "linux", reason="limits files as Linux does")
def test_a_file_that_does_not_fit_leaves_nothing_behind(exported: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "fused.onnx"
    arguments = [str(part) for part in ("fuse", exported, "--pass", "constants", "--output", output)]
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "from pipeline.cli.app import app\n"
        "app(sys.argv[1:])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 5, ran.stderr
    assert "stage write failed" in ran.stderr
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x08no graph", bytes(range(256))])
def test_a_file_that_holds_no_graph_is_refused(content: bytes, exported: Path, tmp_path: Path) -> None:
    broken, output = tmp_path / "broken.onnx", tmp_path / "out.onnx"
    broken.write_bytes(content)
    error = run("fuse", broken, "--pass", "constants", "--output", output, code=2)
    assert str(broken) in error
    assert "export it again" in error
    assert not output.exists()


def test_an_unknown_head_is_refused_by_name(exported: Path, release_of: ReleaseOf, tmp_path: Path) -> None:
    given = ("--scheme", "fp16", "--checkpoint", release_of(HEAD).checkpoint, "--head", "masked_ml")
    error = run("quantize", exported, *given, "--output", tmp_path / "out.onnx", code=2)
    assert "unknown head 'masked_ml'" in error
    assert "did you mean 'masked_lm'" in error


def test_a_graph_with_other_inputs_is_refused(release_of: ReleaseOf, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    made = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 20]> g (float[n, 4] x) => (float[n, 4] y) { y = Relu(x) }'
    )
    onnx.save(made, other)
    given = ("--checkpoint", release_of(HEAD).checkpoint, "--output", tmp_path / "half.onnx")
    error = run("quantize", other, "--scheme", "fp16", *given, code=5)
    assert "the graph needs the inputs x, but the calibration data has" in error


def test_a_summary_leaves_out_a_folder_that_is_not_a_release(release_of: ReleaseOf, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["summary", str(tmp_path), str(release_of(HEAD).folder), "--json"])
    assert ran.exit_code == 4
    assert json.loads(ran.stdout)["release"] == HEAD
    assert str(tmp_path) in ran.stderr


def test_quantize_has_options_for_all_of_a_plan(
    exported: Path, release_of: ReleaseOf, tmp_path: Path
) -> None:
    release, output = release_of(HEAD), tmp_path / "model.onnx"
    given = [
        "quantize",
        exported,
        "--scheme",
        "int8_static",
        "--checkpoint",
        release.checkpoint,
        "--output",
        output,
    ]
    given += [
        "--calibration",
        release.recipe.evaluation,
        "--pass",
        "attention_scale",
        "--final-pass",
        "integer_matmul",
    ]
    given += ["--attention", "--weight-bits", "7", "--method", "entropy", "--smoothing", "0.5"]
    values = json.loads(run(*given, "--exclude", "classifier", "--json"))
    done = {record["name"]: record["rewrites"] for record in values["passes"]}
    assert (done["attention_scale"], done["int8_attention"], done["int8_static"]) == (1, 1, 7)
    assert done["integer_matmul"] == 9
    error = run(*given, "--exclude", "clasifier", code=2)
    assert "did you mean 'classifier'" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("fuse", "absent.onnx", "--pass", "embeddings", "--output", "o.onnx"),
            "there is no ONNX file absent.onnx",
        ),
        (("fuse", "MODEL", "--pass", "embedings", "--output", "o.onnx"), "did you mean 'embeddings'"),
        (("fuse", "MODEL", "--pass", "embeddings", "--output", "MODEL"), "is the file that is read"),
        (
            ("quantize", "MODEL", "--scheme", "int8_statik", "--checkpoint", "c", "--output", "o.onnx"),
            "did you mean 'int8_static'",
        ),
        (
            (
                "quantize",
                "MODEL",
                "--scheme",
                "int8_static",
                "--checkpoint",
                "c",
                "--output",
                "o",
                "--weight-bits",
                "4",
            ),
            "--weight-bits must be 7 or 8, found 4",
        ),
    ],
)
def test_a_usage_error_exits_2_with_a_hint(arguments: tuple[str, ...], message: str, exported: Path) -> None:
    error = run(*(str(exported) if argument == "MODEL" else argument for argument in arguments), code=2)
    assert message in error


def test_list_describes_every_pass_and_scheme() -> None:
    passes = run("list", "passes")
    for name in registry.names():
        assert name in passes
        assert registry.find(name).summary[:40] in passes
    row = next(line for line in passes.splitlines() if " first_token " in line)
    assert "1 in all" in row
    assert "1 a layer" in next(line for line in passes.splitlines() if " attention_scale " in line)
    shown = run("list", "schemes")
    for name in schemes.names():
        assert schemes.find(name).summary in shown


def test_plans_and_excluded_modules_on_the_command_line(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of(HEAD)
    recipe = write_recipe(release.recipe, tmp_path)
    plans = tmp_path / "tuned.toml"
    plans.write_text(
        (PRESETS / "onnxruntime-cpu.toml")
        .read_text()
        .replace('final_passes = ["integer_matmul", ', "final_passes = [")
    )
    given = ["compile", recipe, "--artifacts", release.artifacts, "--variant", "onnxruntime-cpu:int8"]
    given += ["--calibration", release.recipe.evaluation, "--plans", plans, "--exclude", "classifier"]
    folder = Path(run(*given).strip().splitlines()[-1])
    made = Variant.from_json((folder / "variant.json").read_text())
    done = {record.name: record.rewrites for record in made.passes}
    assert "integer_matmul" not in done
    assert done["int8_static"] == 7
    assert "no file of plans" in run(*given, "--plans", "absent.toml", code=2)


def test_inspect_shows_notes_and_withheld_variants(
    release_of: ReleaseOf, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(release_of(HEAD).folder)
    noted = replace(manifest.variants[0], notes=("answers depend on the batch",))
    withheld = Withheld(name="onnxruntime-cpu:int8", reason="it is no faster than fp32")
    display.manifest(replace(manifest, variants=(noted,), withheld=(withheld,)), release_of(HEAD).folder)
    shown = capsys.readouterr().out
    assert "note onnxruntime-cpu:fp32: answers depend on the batch" in shown
    assert "withheld onnxruntime-cpu:int8: it is no faster than fp32" in shown
