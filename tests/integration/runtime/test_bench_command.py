"""`python -m distilforge bench` on a tiny release: what it says, remembers and exits with; never how fast it was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import distilforge
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


TEXTS = (
    '{"review": "a good movie", "stars": 5}\n'
    '{"review": "the city and the river", "stars": 2}\n'
    '{"review": "bad", "stars": 1}\n'
)
REVIEWS = ("--column", "text=review", "--seconds", "0.3")


@pytest.mark.parametrize("calls", ["each in a call of its own", "in one call"])
def test_it_times_the_texts_of_a_file(release: Path, tmp_path: Path, calls: str) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra bulk")
    file = tmp_path / "reviews.jsonl"
    file.write_text(TEXTS, encoding="utf-8")
    together = ("--together",) if calls == "in one call" else ()
    done = run(tmp_path, "bench", str(release), "--texts", str(file), *REVIEWS, *together, "--json")
    assert done.returncode == 0, done.stderr
    assert f"on 3 rows of {file.as_uri()}, {calls}" in done.stderr
    outcome = json.loads(done.stdout)
    session = distilforge.open(release)
    encoded = [session.encode([json.loads(line)["review"]])["input_ids"] for line in TEXTS.splitlines()]
    tokens = sum(ids.size for ids in encoded)
    assert outcome["texts"] == {
        "file": file.as_uri(),
        "rows": 3,
        "tokens": tokens,
        "together": bool(together),
    }
    assert outcome["shapes"] == [{"batch": 3, "tokens": round(tokens / 3)}]
    assert [speed["variant"] for speed in outcome["speeds"]] == [FP32, INT8]
    assert {entry["subject"] for entry in outcome["measurements"]} == {FP32, INT8}


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (TEXTS, (), "has no column 'text'"),
        (TEXTS, ("--column", "text=stars"), "reviews.jsonl': input 0 must be text, found int: 5"),
        (TEXTS, ("--column", "texts=review"), "does not read a column 'texts'"),
        (TEXTS, (*REVIEWS, "--option", "truncate=true"), "has no option 'truncate'"),
        (TEXTS, (*REVIEWS, "--shape", "1x8"), "in place of shapes, found both"),
        ("", REVIEWS, "reviews.jsonl' has no rows"),
        (TEXTS + "{", REVIEWS, "row 3 of"),
        (f'{TEXTS}{{"review": "{"cat " * 100}"}}', REVIEWS, "reviews.jsonl': input 3 has 102 tokens"),
        (TEXTS + '{"stars": 3}', REVIEWS, "row 3 of"),
    ],
)
def test_texts_that_cannot_be_timed(
    release: Path, tmp_path: Path, content: str, arguments: tuple[str, ...], words: str
) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra bulk")
    file = tmp_path / "reviews.jsonl"
    file.write_text(content, encoding="utf-8")
    done = run(tmp_path, "bench", str(release), "--texts", str(file), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "hint" in done.stderr
    assert "round 1" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bench", "RELEASE", "--together"], 2, "--together is for texts, and there is no --texts FILE"),
        (["bench", "RELEASE", "--column", "text=a"], 2, "--column is for texts"),
        (["bench", "RELEASE", "--texts", "absent.jsonl"], 2, "absent.jsonl"),
        (["bench", "RELEASE", "--texts", "texts.docx"], 2, "suffix of a format"),
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
