"""`python -m distilforge bench` on a tiny release: what it says, remembers and exits with; never how fast it was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from distilforge.benchmark import table
from typer.testing import CliRunner

from pipeline.cli.app import app
from tests.benchmark_results import FP32, INT8
from tests.quantized_release import add_int8
from tests.runtime_release import copied, read_manifest

# Shows what the command imported, as the process ends
GUARDED = """
import atexit, sys
from distilforge.command_line import main
code = main()
heavy = sorted({"torch", "transformers", "onnx", "scipy", "matplotlib", "pipeline"} & set(sys.modules))
print("imported:", *heavy, file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_int8(copied("sequence_classification", tmp_path_factory.mktemp("bench") / "release"))


def run(cache: Path, *arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
    command = ["-c", script] if script else ["-m", "distilforge"]
    return subprocess.run(
        [sys.executable, *command, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


def test_it_times_every_variant_without_torch(release: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "bench", str(release), "--seconds", "0.3", "--json", script=GUARDED)
    assert done.returncode == 0, done.stderr
    assert "imported:\n" in done.stderr
    assert "round 1, " in done.stderr
    outcome = json.loads(done.stdout)
    assert [variant["variant"] for variant in outcome["variants"]] == [FP32, INT8]
    # The usual shapes, held within the release's spans
    shapes = [(shape["batch"], shape["tokens"]) for shape in outcome["shapes"]]
    assert shapes == [(1, 16), (1, 64), (8, 64)]
    assert len(outcome["speeds"]) == len(outcome["measurements"]) == 6
    # A busy machine is not a failure; the result says why nothing is claimed
    assert outcome["steadiness"]["steady"] == (not outcome["steadiness"]["reasons"])
    kept = list((tmp_path / "distilforge").rglob("*.json"))
    assert bool(kept) == outcome["steadiness"]["steady"]
    assert ("remembered in" in done.stderr) == bool(kept)


def test_the_table_and_the_picture(release: Path, tmp_path: Path) -> None:
    picture = tmp_path / "speed.svg"
    done = run(
        tmp_path,
        *("bench", str(release), "--seconds", "0.3", "--no-remember", "--threads", "1"),
        *("--shape", "2x8", "--variant", INT8, "--plot", str(picture)),
    )
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= table.WIDTH
    assert "2x8" in done.stdout
    assert "1 thread\n" in done.stdout
    assert FP32 not in done.stdout
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    assert not (tmp_path / "distilforge").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bench", "absent"], 4, "no release at 'absent'"),
        (["bench"], 2, "RELEASE"),
        (["bench", "RELEASE", "--shape", "999x1"], 2, "outside of what the release takes"),
        (["bench", "RELEASE", "--variant", "nothing:fp32"], 2, "no variant 'nothing:fp32'"),
        (["nothing"], 2, "invalid choice"),
    ],
)
def test_exit_codes(release: Path, tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    done = run(tmp_path, *(str(release) if word == "RELEASE" else word for word in arguments))
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_help(tmp_path: Path) -> None:
    bare, asked = run(tmp_path), run(tmp_path, "bench", "--help")
    assert (bare.returncode, asked.returncode) == (0, 0)
    assert "bench" in bare.stdout
    assert "Example: python -m distilforge bench artifacts/sentiment" in asked.stdout


def test_a_damaged_release_is_refused_before_it_is_timed(tmp_path: Path) -> None:
    damaged = copied("sequence_classification", tmp_path / "damaged")
    graph = damaged / "onnx" / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    done = run(tmp_path, "bench", str(damaged))
    assert done.returncode == 4
    assert "is damaged: SHA-256" in done.stderr


def test_the_pipelines_command_is_the_same(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shell = CliRunner()
    done = shell.invoke(
        app, ["bench", str(release), "--seconds", "0.3", "--shape", "1x8", "--json", "--no-remember"]
    )
    assert done.exit_code == 0, done.output
    assert [variant["variant"] for variant in json.loads(done.stdout)["variants"]] == [FP32, INT8]
    assert shell.invoke(app, ["bench", str(release), "--shape", "nonsense"]).exit_code == 2
    forgotten = shell.invoke(app, ["bench", str(release), "--forget"])
    version = read_manifest(release).version
    assert forgotten.stdout == f"forgot 0 measurements of random-sequence_classification {version}\n"
