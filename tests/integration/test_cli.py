"""The command line as scripts use it: stdout, stderr and the exit codes."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from distilforge.release import resolve, verify
from typer.testing import CliRunner

from model_src import heads
from pipeline.cli.app import app
from pipeline.recipe.recipe import Recipe
from tests.integration.conftest import Release, prepare_export, run_command, write_recipe

ReleaseOf = Callable[[str], Release]
COMMANDS = (
    "build",
    "export",
    "fuse",
    "quantize",
    "compile",
    "validate",
    "publish",
    "inspect",
    "verify",
    "sign",
    "rebuild",
    "push",
    "promote",
    "rollback",
    "prune",
    "summary",
    "package",
    "list",
    "convert",
    "clean",
)


def run(*arguments: str | Path, code: int = 0) -> str:
    """stdout of `distilforge` with `arguments`, which exits with `code`."""
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert ran.exit_code == code, ran.output
    return ran.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], terminal_width=100).stdout
    assert "Example" in shown
    assert f"distilforge {command}" in shown
    assert command in run("--help")


def test_one_stage_after_the_other_prints_the_folder_of_each(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of("sequence_classification")
    recipe = write_recipe(release.recipe, tmp_path)
    folders = {}
    for command in ("export", "compile", "validate", "publish"):
        printed = run(command, recipe, "--artifacts", release.artifacts)
        folders[command] = Path(printed.removesuffix("\n"))
    assert (folders["export"] / "model.onnx").is_file()
    assert (folders["compile"] / "onnx" / "model.onnx").is_file()
    assert (folders["validate"] / "report.json").is_file()
    assert folders["publish"] == release.folder


def test_json_is_one_object(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of("sequence_classification")
    printed = run("build", write_recipe(release.recipe, tmp_path), "--artifacts", release.artifacts, "--json")
    values = json.loads(printed)
    assert values["folder"] == str(release.folder)
    assert (values["name"], values["new"]) == ("sequence_classification", False)
    (line,) = values["lines"]
    assert line["variant"] == "onnxruntime-cpu:fp32"
    assert line["metric"] == "accuracy"
    assert line["validated"] is True


def test_options_override_the_recipe(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of("sequence_classification")
    recipe, artifacts = write_recipe(release.recipe, tmp_path), release.artifacts
    out = run(
        "build", recipe, "--artifacts", artifacts, "--name", "named", "--variant", "onnxruntime-cpu:fp32"
    )
    folder = Path(out.splitlines()[-1])
    assert folder.parent == artifacts / "named"
    assert verify(folder).name == "named"


def test_an_unchanged_build_is_quick_and_needs_no_torch(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of("sequence_classification")
    recipe = write_recipe(release.recipe, tmp_path)
    script = (
        "import sys\n"
        "from pipeline.cli.app import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'onnx', 'onnxscript', 'transformers', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    arguments = ["build", str(recipe), "--artifacts", str(release.artifacts)]
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [str(release.folder)]
    stages = ("export", "compile", "assemble", "tokens", "compare", "validate", "publish")
    for stage in stages:
        assert f" {stage}: reused from an earlier build (" in ran.stderr
    assert "up to date: this build changed nothing" in ran.stderr


def test_several_recipes_in_one_go(release_of: ReleaseOf, tmp_path: Path) -> None:
    releases = [release_of("sequence_classification"), release_of("features")]
    # Both in one artifacts folder: the first is there already, the second is not.
    artifacts = releases[0].artifacts
    recipes = [write_recipe(release.recipe, tmp_path) for release in releases]
    printed = run("build", *recipes, "--artifacts", artifacts).splitlines()
    assert [Path(line).parent.name for line in printed[:2]] == ["sequence_classification", "features"]
    for line in printed[:2]:
        verify(Path(line))
    assert [line.count("passed") for line in printed if " onnxruntime-cpu:fp32 " in line] == [1, 1]


def test_a_release_that_fails_does_not_stop_the_others(release_of: ReleaseOf, tmp_path: Path) -> None:
    releases = [release_of("sequence_classification"), release_of("features")]
    first, third = (write_recipe(release.recipe, tmp_path) for release in releases)
    artifacts, strict = releases[0].artifacts, tmp_path / "strict.toml"
    text = first.read_text().replace('name = "sequence_classification"', 'name = "strict"')
    strict.write_text(text.replace("[gates]", "[gates.limits.fp32]\nerror = 1e-12\n\n[gates]"))

    command = ["build", str(first), str(strict), str(third), "--artifacts", str(artifacts)]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 6
    assert ran.stderr.index("error: strict was built but not published") < ran.stderr.index("features export")
    assert resolve(artifacts / "features").name == verify(resolve(artifacts / "features")).version
    assert not (artifacts / "strict").exists()
    rows = [line for line in ran.stdout.splitlines() if line.startswith("│")]
    assert [row.split()[1] for row in rows] == ["sequence_classification", "strict", "features"]
    assert re.search(r"not published: \d of \d+ checks failed", rows[1])

    absent = tmp_path / "absent.toml"
    ran = CliRunner().invoke(app, [*command, str(absent), "--json"])
    assert ran.exit_code == 2
    published, failed, _, unread = map(json.loads, ran.stdout.splitlines())
    assert published["folder"] == str(releases[0].folder)
    assert (failed["name"], failed["exit_code"]) == ("strict", 6)
    assert "strict was built but not published" in failed["error"]
    assert (unread["name"], unread["exit_code"]) == ("absent", 2)
    assert f"error: {absent}: there is no recipe {absent}" in ran.stderr


def test_a_failed_gate_exits_6_with_the_checks_that_failed(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of("sequence_classification")
    recipe = write_recipe(release.recipe, tmp_path)
    recipe.write_text(recipe.read_text().replace("[gates]", "[gates.limits.fp32]\nerror = 1e-12\n\n[gates]"))
    command = ["build", str(recipe), "--name", "strict", "--artifacts", str(release.artifacts)]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 6
    assert ran.stdout == ""
    for part in (
        "onnxruntime-cpu:fp32\n  not met      largest error",
        ", limit at most 1e-12",
        "built but not published",
        "hint: `--gate report`",
        "other checks are met; --verbose lists them",
    ):
        assert part in ran.stderr
    assert "  met  " not in ran.stderr
    assert "  met  " in CliRunner().invoke(app, [*command, "--verbose"]).stderr
    ran = CliRunner().invoke(app, [*command, "--gate", "report"])
    assert ran.exit_code == 0
    assert not verify(Path(ran.stdout.splitlines()[-1])).validated


def test_inspect_verify_and_summary(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of("token_classification")
    name = release.artifacts / "token_classification"
    shown = run("inspect", name)
    for part in ("head token_classification", "onnx/model.onnx", "input_ids", "largest error", "torch"):
        assert part in shown
    assert json.loads(run("inspect", name, "--json"))["head"] == "token_classification"
    assert "all as published" in run("verify", name)
    assert "token_classification" in run("summary", name)
    header, rule, row = run("summary", name, "--markdown").splitlines()
    assert header.startswith("| release | head |")
    assert set(rule) == set("| -")
    assert row.count("|") == header.count("|")
    assert "passed" in row
    assert json.loads(run("summary", name, "--json"))["head"] == "token_classification"


def test_a_damaged_release_does_not_verify(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of("sequence_classification")
    recipe, artifacts = write_recipe(release.recipe, tmp_path), release.artifacts
    build = ("build", recipe, "--name", "damaged", "--artifacts", artifacts)
    run(*build)
    (artifacts / "damaged" / "latest" / "vocab.txt").write_text("changed")
    ran = CliRunner().invoke(app, ["verify", str(artifacts / "damaged")])
    assert ran.exit_code == 4
    assert "vocab.txt" in ran.stderr
    # A damaged one does not hide those after it
    ran = CliRunner().invoke(
        app, ["verify", *map(str, [tmp_path / "absent", artifacts / "damaged", release.folder])]
    )
    assert ran.exit_code == 4
    assert f"error: {tmp_path / 'absent'}: " in ran.stderr
    assert f"error: {artifacts / 'damaged'}: " in ran.stderr
    assert f"{release.folder}: " in ran.stdout
    # Another build repairs it
    run(*build)
    run("verify", artifacts / "damaged")


def test_a_build_brings_the_release_to_a_url(
    release_of: ReleaseOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    release = release_of("sequence_classification")
    recipe = write_recipe(release.recipe, tmp_path)
    store = tmp_path / "stores" / release.recipe.name
    to = ("--to", str(tmp_path / "stores" / "{name}"))
    run("build", recipe, "--artifacts", release.artifacts, *to)
    folder = Path(run("pull", store, "--output", tmp_path / "pulled").strip())
    assert folder.name == release.folder.name
    assert str(folder) in run("verify", tmp_path / "pulled")
    assert run("push", release.folder, *to).strip() == folder.name


@pytest.mark.parametrize("command", ["inspect", "verify", "summary"])
def test_an_absent_release_exits_4(command: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, [command, str(tmp_path / "nothing")])
    assert ran.exit_code == 4
    assert "hint: " in ran.stderr


def test_list() -> None:
    assert run("list", "heads").split() == list(heads.names())
    assert "onnxruntime-cpu" in run("list", "targets").split()
    assert {"fp32", "int8", "int8_7bit"} <= set(run("list", "precisions").split())


def test_clean_undoes_the_work_and_leaves_the_releases(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    prepare_export(tiny, artifacts)
    run("build", write_recipe(tiny, tmp_path), "--artifacts", artifacts)
    assert "removed" in run("clean", "--artifacts", artifacts)
    assert {path.name for path in artifacts.iterdir()} == {"tiny"}
    verify(artifacts / "tiny" / "latest")


def test_the_console_script_runs() -> None:
    ran = run_command("list", "targets")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "onnxruntime-cpu" in ran.stdout


def test_verbose_shows_the_traceback(tiny: Recipe, tmp_path: Path) -> None:
    (Path(tiny.checkpoint) / "config.json").unlink()
    ran = CliRunner().invoke(app, ["build", tiny.checkpoint, "--artifacts", str(tmp_path / "a"), "--verbose"])
    assert ran.exit_code == 4
    assert "Traceback" in ran.stderr


def test_convert_writes_a_checkpoint_that_transformers_reads(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    printed = run("convert", tmp_path / "bert", tmp_path / "distilbert").strip()
    assert transformers.DistilBertModel.from_pretrained(printed).config.dim == 16
    ran = CliRunner().invoke(app, ["convert", str(tmp_path / "distilbert"), str(tmp_path / "again")])
    assert ran.exit_code == 4
    assert "names 'DistilBertModel', which has no exact DistilBERT" in ran.stderr


@pytest.mark.usefixtures("quick_defaults")
def test_a_build_of_a_folder_says_what_more_can_be_built(release_of: ReleaseOf) -> None:
    release = release_of("sequence_classification")
    command = ["build", str(release.checkpoint), "--name", "plain", "--artifacts", str(release.artifacts)]
    command += ["--data", str(release.recipe.evaluation)]
    ran = CliRunner().invoke(app, [*command, "--gate", "report"])
    assert ran.exit_code == 0, ran.output
    assert "--variant onnxruntime-cpu:int8; `distilforge list targets` has all" in ran.stderr
    ran = CliRunner().invoke(app, [*command, "--gate", "report", "--variant", "onnxruntime-cpu:fp32"])
    assert "distilforge list targets" not in ran.stderr


def test_wider_limits_are_told_wherever_the_verdict_is(release_of: ReleaseOf, tmp_path: Path) -> None:
    release = release_of("sequence_classification")
    note = "Held to wider limits than usual: margin 0.5, where 0.01 is usual."
    assert note in (release.folder / "README.md").read_text(encoding="utf-8")
    assert note in (release.folder / "validation" / "report.html").read_text(encoding="utf-8")
    assert f"note onnxruntime-cpu:fp32: {note}" in run("inspect", release.folder)
    assert "passed, wider limits" in run("summary", release.folder)
