"""Tables, ratios and limits of a GPU's run on made-up samples, and what a machine without one is told."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.cuda import driver

from bench.contest import Contest, Contestant, Samples
from bench.gpu import compiled, process, record, report, table
from bench.gpu.engine_runner import EngineRunner
from bench.gpu.process import Memory
from bench.gpu.report import EAGER, LARGE, SDPA, SMALL, GpuReport
from bench.gpu.run import left_out, ordered
from bench.gpu.shapes import DOCUMENTED, SHAPES
from bench.gpu.subjects import subjects
from bench.prepared import Absent
from bench.shapes import Shape, feeds
from tests.runtime_release import LABELS, published, read_manifest

TINY = Shape(batch=2, tokens=64)
ENGINE = "TensorRT"
CEILING = 800e12
# Seconds at each shape: eager, SDPA, the engine
SECONDS = {SMALL: (4e-3, 3e-3, 1e-3), TINY: (2.048e-3, 1.6e-3, 1e-3), LARGE: (3e-3, 2e-3, 0.8e-3)}


def timed(columns: tuple[str, ...] = (EAGER, SDPA, ENGINE), turns: int = 20) -> Contest:
    random = np.random.default_rng(7)
    return Contest(
        samples=tuple(
            Samples(
                contestant=column,
                shape=shape,
                turns=tuple((middle * float(np.exp(1e-3 * random.normal())),) for _ in range(turns)),
            )
            for shape, seconds in SECONDS.items()
            for column, middle in zip((EAGER, SDPA, ENGINE), seconds, strict=True)
            if column in columns
        ),
        logits={},
    )


def made(columns: tuple[str, ...] = (EAGER, SDPA, ENGINE)) -> GpuReport:
    contest = timed(columns)
    ours = report.judged(columns, [ENGINE])
    return GpuReport(
        conditions={"device": "NVIDIA H200"},
        settings=dict.fromkeys(columns, "as users do"),
        contest=contest,
        memory={
            (column, shape): Memory(
                device=300_000_000, allocated=150_000_000 if column == EAGER else 100_000_000
            )
            for column in columns
            for shape in SECONDS
        },
        differences={SDPA: 2e-3},
        absent=(Absent(name="TensorRT-RTX", reason="not installed: tensorrt-rtx"),),
        ours=ours,
        against=report.against(contest, columns, ours),
        ceiling=CEILING,
        wanted=report.wanted(contest, ours, CEILING),
    )


def cells(text: str, first: str) -> list[str]:
    """The first row of a table whose cells begin so."""
    line = next(line for line in text.splitlines() if line.replace(" ", "").startswith(first))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_shapes_are_the_documentations_and_the_issues() -> None:
    assert {(shape.batch, shape.tokens) for shape in DOCUMENTED} == {
        (batch, tokens) for batch in (2, 4, 8, 16) for tokens in (64, 128)
    }
    assert set(DOCUMENTED) < set(SHAPES)
    assert {Shape(batch=batch, tokens=tokens) for batch in (1, 8, 32, 128) for tokens in (128, 384)} <= set(
        SHAPES
    )
    sizes = [shape.batch * shape.tokens for shape in SHAPES]
    assert sizes == sorted(sizes)


def test_the_documented_table_has_its_definitions() -> None:
    row = cells(table.documented(made()), "|2|64|")
    # 2.048 ms over 64 tokens a text; the noise is a thousandth
    assert float(row[2]) == pytest.approx(0.032, rel=0.01)
    assert float(row[3]) == pytest.approx(0.025, rel=0.01)
    assert float(row[4]) == pytest.approx(28.0, abs=1.0)
    assert row[5:] == ["150.0", "100.0", "50.0"]


def test_times_a_batch_and_a_token() -> None:
    assert [
        float(cell) for cell in cells(table.times(made(), per_token=False), "|32|128|")[2:]
    ] == pytest.approx([3.0, 2.0, 0.8], rel=0.01)
    a_token = cells(table.times(made(), per_token=True), "|32|128|")
    assert float(a_token[2]) == pytest.approx(3.0 / 4096, rel=0.02)


def test_ratios_stand_beside_their_intervals() -> None:
    found = made().against[EAGER]
    assert [one.shape for one in found] == [SMALL, TINY, LARGE, None]
    assert found[0].interval[0] <= found[0].value <= found[0].interval[1]
    assert found[0].value == pytest.approx(4.0, rel=0.01)
    assert "(" in cells(table.ratios(made()), "|mean|")[2]


def test_operations_of_the_large_shape() -> None:
    # 24 (4 dim^2 + 2 dim hidden) and 4 tokens dim for each token and layer, two operations a multiplication
    assert report.operations(LARGE) == pytest.approx(358e9, rel=0.005)
    assert "358 GFLOP of 32x128 take 0.447 ms" in table.reached(made())


def test_limits_of_our_engine() -> None:
    over_limit, over_eager = made().wanted
    assert over_limit.observed == pytest.approx(0.8e-3 * CEILING / report.operations(LARGE), rel=0.01)
    assert bool(over_limit)
    assert over_eager.observed == pytest.approx(4.0, rel=0.01)
    assert bool(over_eager)
    assert not report.wanted(timed(), ENGINE, 2 * CEILING)[0]
    assert not report.wanted(timed(), SDPA, CEILING)[1]


def test_without_an_engine_nothing_is_judged() -> None:
    found = made((EAGER, SDPA))
    assert found.ours is None
    assert not any(found.wanted)
    text = table.markdown(found)
    assert "No engine could be run." in text
    assert "not measured" in text


def test_the_first_engine_that_ran_is_judged() -> None:
    assert report.judged((EAGER, "TensorRT-RTX"), ["TensorRT", "TensorRT-RTX"]) == "TensorRT-RTX"
    assert report.judged((EAGER, "TensorRT-RTX", "TensorRT"), ["TensorRT", "TensorRT-RTX"]) == "TensorRT"


def test_what_was_left_out_is_told_with_its_reason() -> None:
    text = table.markdown(made())
    assert "- TensorRT-RTX: not installed: tensorrt-rtx" in text
    assert "largest difference from eager: 2.0e-03" in text
    assert "Left out: it needs the columns eager and SDPA." in table.markdown(made((EAGER, ENGINE)))


def test_every_sample_is_in_the_json() -> None:
    values = json.loads(record.to_json(made()))
    assert len(values["samples"]) == 9
    assert all(len(one["seconds_by_turn"]) == 20 for one in values["samples"])
    assert values["memory_bytes"][0] == {
        "subject": EAGER,
        "shape": "1x128",
        "device": 300_000_000,
        "allocated": 150_000_000,
    }
    assert [one["met"] for one in values["wanted"]] == [True, True]


def test_columns_are_in_the_documentations_order() -> None:
    assert [subject.title for subject in ordered()] == [
        "eager",
        "SDPA",
        "torch.compile",
        "ONNX Runtime CUDA",
        "TensorRT",
        "TensorRT-RTX",
    ]
    assert [subject.title for subject in ordered() if subject.engine] == ["TensorRT", "TensorRT-RTX"]


def test_a_column_without_its_packages_is_left_out_with_what_to_install() -> None:
    subject = replace(subjects.find("tensorrt"), packages=("torch", "tensorrt-that-nobody-has"))
    absent = left_out(subject)
    assert absent is not None
    assert absent.reason.endswith("pip install tensorrt-that-nobody-has")
    assert left_out(replace(subject, packages=("torch",))) is None


def test_a_column_that_does_not_open_is_left_out_with_its_last_words(tmp_path: Path) -> None:
    nowhere = Contestant(name="eager", subject="pytorch-eager", source=str(tmp_path / "nowhere"))
    found = process.alone(nowhere, [SMALL], tmp_path / "log")
    assert isinstance(found, Absent)
    assert found.name == "eager"
    assert found.reason.strip()


def test_an_engine_is_called_as_applications_call_it(tmp_path: Path) -> None:
    head = "sequence_classification"
    release = published(head, LABELS[head]).release
    compiled.adopt(release, tmp_path)
    (variant,) = read_manifest(release).variants
    (tmp_path / compiled.COMPILED / "variant.json").write_text(variant.to_json(), encoding="utf-8")
    assert compiled.target_of(tmp_path / compiled.COMPILED) == "onnxruntime-cpu"
    runner = EngineRunner(tmp_path)
    ids, mask = feeds(Shape(batch=2, tokens=16))
    runner.feed(ids % 50, mask)
    assert len(runner.time(3)) == 3
    assert runner.logits().shape == (2, len(LABELS[head]))


@pytest.mark.skipif(not isinstance(driver.survey(), str), reason="this machine has an NVIDIA GPU")
def test_a_machine_without_a_gpu_is_told_so_in_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bench.gpu",
        "--output",
        str(tmp_path / "out"),
        "--cache",
        str(tmp_path / "c"),
    ]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env={**os.environ})
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("nothing to time here: this machine")
    assert not any(tmp_path.iterdir())
