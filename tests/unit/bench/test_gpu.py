"""Tables, ratios and limits of a GPU's run on made-up samples, and what a machine without one is told."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.cuda import driver
from distilforge.errors import TimingError
from distilforge.timing.feeds import Ids
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.gpu import compiled, memory, opening, record, report, table
from bench.gpu.engine_runner import EngineRunner
from bench.gpu.memory import Memory
from bench.gpu.report import EAGER, LARGE, SDPA, SMALL, GpuReport
from bench.gpu.run import left_out, ordered
from bench.gpu.runner import WARM_RUNS, GpuRunner
from bench.gpu.shapes import DOCUMENTED, SHAPES
from bench.gpu.subjects import subjects
from bench.rows import Absent, Row
from bench.shapes import feeds
from bench.subjects import Logits
from tests.runtime_release import LABELS, published, read_manifest
from tests.timing_subjects import measurement, steady

TINY = Shape(batch=2, tokens=64)
ENGINE = "TensorRT"
CEILING = 800e12
# Seconds at each shape: eager, SDPA, the engine
SECONDS = {SMALL: (4e-3, 3e-3, 1e-3), TINY: (2.048e-3, 1.6e-3, 1e-3), LARGE: (3e-3, 2e-3, 0.8e-3)}


def timed(columns: tuple[str, ...] = (EAGER, SDPA, ENGINE), rounds: int = 20) -> Timing:
    random = np.random.default_rng(7)
    return Timing(
        measurements=tuple(
            measurement(
                column,
                shape,
                tuple((middle * float(np.exp(1e-3 * random.normal())),) for _ in range(rounds)),
            )
            for shape, seconds in SECONDS.items()
            for column, middle in zip((EAGER, SDPA, ENGINE), seconds, strict=True)
            if column in columns
        ),
        steadiness=steady(rounds),
    )


def made(columns: tuple[str, ...] = (EAGER, SDPA, ENGINE)) -> GpuReport:
    timing = timed(columns)
    ours = report.judged(columns, [ENGINE])
    return GpuReport(
        conditions={"device": "NVIDIA H200"},
        settings=dict.fromkeys(columns, "as users do"),
        timing=timing,
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
        against=report.against(timing, columns, ours),
        ceiling=CEILING,
        wanted=report.wanted(timing, ours, CEILING),
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
    interval = found[0].estimate.interval
    assert interval is not None
    assert interval[0] <= found[0].value <= interval[1]
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


def test_a_shape_that_a_column_refuses_has_dashes_and_the_reason_below() -> None:
    whole = made()
    timing = replace(
        whole.timing,
        measurements=tuple(
            taken
            for taken in whole.timing.measurements
            if (taken.subject, taken.batch, taken.tokens) != (SDPA, TINY.batch, TINY.tokens)
        ),
        refusals={(SDPA, TINY): "OutOfMemoryError: 80 GiB"},
    )
    held = {key: taken for key, taken in whole.memory.items() if key != (SDPA, TINY)}
    columns = (EAGER, SDPA, ENGINE)
    text = table.markdown(
        replace(whole, timing=timing, memory=held, against=report.against(timing, columns, ENGINE))
    )
    assert "- SDPA at 2x64: OutOfMemoryError: 80 GiB" in text
    documented = cells(text, "|2|64|")
    assert [documented[place] for place in (3, 4, 6, 7)] == ["-"] * 4
    assert documented[2] != "-"
    # The mean over fewer shapes could not be compared with the others
    assert cells(text, "|mean|")[3] == "-"


def test_the_table_and_the_json_say_whether_it_was_steady() -> None:
    unsteady = replace(steady(20), steady=False, reasons=("other processes took 2 cores",), others_cores=2.0)
    whole = made()
    busy = replace(whole, timing=replace(whole.timing, steadiness=unsteady))
    assert "The timing was steady over 20 rounds." in table.markdown(whole)
    text = table.markdown(busy)
    assert "The timing was not steady" in text
    assert "other processes took 2 cores." in text
    assert "cores that other processes took, on average: 2.00" in text
    assert json.loads(record.to_json(busy))["steadiness"]["reasons"] == ["other processes took 2 cores"]


def test_a_column_that_does_not_open_says_its_last_words(tmp_path: Path) -> None:
    nowhere = Row(name="eager", subject="pytorch-eager", source=str(tmp_path / "nowhere"))
    with pytest.raises(TimingError, match=r"the process of eager ended with exit code 1: .+"):
        memory.alone(opening.subject(nowhere), [SMALL])


def test_an_engine_is_called_as_applications_call_it(tmp_path: Path) -> None:
    head = "sequence_classification"
    release = published(head, LABELS[head]).release
    compiled.adopt(release, tmp_path)
    (variant,) = read_manifest(release).variants
    (tmp_path / compiled.COMPILED / "variant.json").write_text(variant.to_json(), encoding="utf-8")
    assert compiled.target_of(tmp_path / compiled.COMPILED) == "onnxruntime-cpu"
    runner = EngineRunner(tmp_path)
    ids, mask = feeds(Shape(batch=2, tokens=16))
    runner.take(ids % 50, mask)
    assert len(runner.seconds(3)) == 3
    facts = runner.facts()
    assert np.array(facts["logits"]).shape == (2, len(LABELS[head]))
    assert facts["device_bytes"] is None


def test_a_device_is_kept_busy_before_runs_unless_it_just_ran() -> None:
    runner = Counting()
    runner.feed(SMALL)
    assert len(runner.seconds(2)) == 2
    busy = runner.runs - 2
    # At least as many as torch.compile needs to have compiled, captured and replayed
    assert busy >= WARM_RUNS
    before = runner.runs
    runner.seconds(1)
    # A busy test machine may rest between the two for longer than a clock does
    assert runner.runs == before + 1 or runner.runs >= before + 1 + WARM_RUNS
    runner.feed(SMALL)
    before = runner.runs
    runner.seconds(1)
    assert runner.runs >= before + 1 + WARM_RUNS


class Counting(GpuRunner):
    """A column that only counts how often it runs."""

    runs = 0

    def take(self, ids: Ids, mask: Ids) -> None:
        assert ids.shape == mask.shape

    def run(self) -> None:
        self.runs += 1
        time.sleep(0.01)

    def logits(self) -> Logits:
        return np.zeros((1, 2), dtype=np.float32)


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
