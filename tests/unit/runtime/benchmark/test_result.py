"""From made-up samples: rates, ratios, the fastest variant, and the table and picture that show them."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.benchmark import plot, run, table
from distilforge.benchmark.run import BenchmarkOptions
from distilforge.benchmark.timed_texts import Texts
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.manifest import Manifest
from distilforge.timing.shape import Shape

from tests.benchmark_results import BUSY, FP32, INT8, SHAPES, result, timing, with_choices
from tests.runtime_release import published, read_manifest

ENGINE = "tensorrt-rtx:fp16"


@pytest.fixture(scope="module")
def release() -> Path:
    return published("sequence_classification").release


@pytest.fixture
def manifest(release: Path) -> Manifest:
    return read_manifest(release)


def test_rates_come_from_the_seconds(manifest: Manifest) -> None:
    speed = result(manifest, {FP32: 20.0, INT8: 10.0}).speeds[3]
    assert (speed.variant, speed.shape) == (INT8, SHAPES[1])
    assert speed.milliseconds.value == pytest.approx(10.0)
    assert speed.texts_per_second.value == pytest.approx(800.0)
    assert speed.tokens_per_second.value == pytest.approx(8 * 64 * 100.0)
    # The rounds lie one in a hundred around the median
    assert speed.milliseconds.interval == pytest.approx((9.9, 10.1))
    assert speed.texts_per_second.interval == pytest.approx((8 / 0.0101, 8 / 0.0099))


def test_the_tokens_of_every_choice_count(manifest: Manifest) -> None:
    plain, chosen = (result(made, {FP32: 20.0}).speeds[0] for made in (manifest, with_choices(manifest)))
    assert chosen.texts_per_second == plain.texts_per_second
    assert chosen.tokens_per_second.value == pytest.approx(3 * plain.tokens_per_second.value)


def test_the_others_are_compared_with_the_first(manifest: Manifest) -> None:
    made = result(manifest, {FP32: 20.0, INT8: 10.0})
    first, second = made.variants
    assert first.times_as_fast is not None
    assert first.times_as_fast.value == 1.0
    assert second.times_as_fast is not None
    # Both sides are slow in the same rounds, so that the ratio is the same in all
    assert second.times_as_fast.value == pytest.approx(2.0)
    assert second.times_as_fast.interval == pytest.approx((2.0, 2.0))
    assert made.fastest == INT8
    assert result(manifest, {FP32: 10.0, INT8: 20.0}).fastest == FP32


def test_the_record_of_a_result(manifest: Manifest) -> None:
    made = result(manifest, {FP32: 20.0, INT8: 10.0}, threads=2)
    record = made.record()
    assert record is not None
    assert record.speeds == pytest.approx({FP32: 1.0, INT8: 2.0})
    assert (record.shapes, record.conditions.threads) == (("1x16", "8x64"), 2)


def test_results_without_a_record(manifest: Manifest) -> None:
    assert result(manifest, {FP32: 20.0, INT8: 10.0}, BUSY).record() is None
    assert result(manifest, {FP32: 20.0}).record() is None
    one, other = SHAPES
    apart = run.summarize(
        manifest, (FP32, INT8), timing({FP32: {one: 0.1}, INT8: {other: 0.1}}), threads=None, cannot_run={}
    )
    assert (apart.shapes, apart.fastest, apart.record()) == ((), None, None)


def test_only_shapes_that_all_variants_take_are_compared(manifest: Manifest) -> None:
    one, other = SHAPES
    made = run.summarize(
        manifest,
        (FP32, INT8),
        timing({FP32: {one: 0.2, other: 9.0}, INT8: {one: 0.1}}),
        threads=None,
        cannot_run={},
    )
    assert made.shapes == (one,)
    assert made.record() is not None
    assert [speed.shape for speed in made.speeds] == [one, other, one]


def test_json_has_everything(manifest: Manifest) -> None:
    values = json.loads(result(manifest, {FP32: 20.0, INT8: 10.0}).to_json())
    assert values["fastest"] == INT8
    assert len(values["measurements"]) == 4
    assert values["speeds"][0]["shape"] == {"batch": 1, "tokens": 16}
    assert values["steadiness"]["steady"] is True


def test_json_of_an_unsteady_timing_has_the_reason_and_no_ratio(manifest: Manifest) -> None:
    values = json.loads(result(manifest, {FP32: 20.0, INT8: 10.0}, BUSY).to_json())
    assert values["fastest"] is None
    assert [entry["times_as_fast"] for entry in (*values["variants"], *values["speeds"])] == [None] * 6
    assert values["steadiness"]["reasons"] == list(BUSY.reasons)
    assert values["speeds"][0]["milliseconds"]["value"] == pytest.approx(20.0)


def test_the_table_fits_a_terminal(manifest: Manifest) -> None:
    made = replace(result(manifest, {FP32: 12345.6, INT8: 1.23}), cannot_run={ENGINE: "it needs a GPU " * 20})
    text = table.text(made)
    assert max(map(len, text.splitlines())) <= 80
    assert f"{ENGINE} cannot run here: it needs a GPU" in text
    for words in (
        INT8,
        "12346",
        "1x16",
        "8x64",
        "times as fast as",
        "instruction sets",
        "the default number of",
    ):
        assert words in text


def test_texts_in_place_of_shapes(manifest: Manifest) -> None:
    texts = Texts(file="file:///reviews.jsonl", rows=8, tokens=508, together=False)
    assert texts.shape == SHAPES[1]
    made = run.summarize(
        with_choices(manifest),
        (FP32, INT8),
        timing({FP32: {texts.shape: 0.2}, INT8: {texts.shape: 0.1}}),
        threads=None,
        cannot_run={},
        texts=texts,
    )
    # The tokens of texts are those of all their choices
    assert made.speeds[0].tokens_per_second.value == pytest.approx(8 * 64 / 0.2)
    assert made.fastest == INT8
    words = " ".join(table.text(made).split())
    assert (
        "A run answered 8 rows of file:///reviews.jsonl, each in a call of its own, tokenizing included."
        in words
    )
    assert "shape: rows x their mean tokens." in words
    assert json.loads(made.to_json())["texts"]["tokens"] == 508
    together = table.text(replace(made, texts=replace(texts, together=True)))
    assert "in one call" in " ".join(together.split())


def test_the_table_names_the_gpus(manifest: Manifest) -> None:
    made = result(manifest, {FP32: 20.0})
    gpu = "NVIDIA A10, compute capability 8.6"
    assert f"GPU: {gpu}" in table.text(replace(made, conditions=replace(made.conditions, gpus=(gpu,))))
    assert "GPU" not in table.text(made)


def test_the_table_of_an_unsteady_timing_claims_nothing(manifest: Manifest) -> None:
    text = table.text(result(manifest, {FP32: 20.0, INT8: 10.0}, BUSY))
    assert "NOT SETTLED: other processes took 1.2 cores" in text
    assert "2.00" not in text
    assert "over all shapes" not in text
    assert "10.0" in text


@pytest.mark.parametrize("suffix", plot.FORMATS)
def test_the_picture(manifest: Manifest, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"speed{suffix}"
    plot.check(path)
    plot.write(result(manifest, {FP32: 20.0, INT8: 10.0}), path)
    assert path.read_bytes()[:4] in (b"<?xm", b"\x89PNG")


def test_pictures_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"\.svg or \.png"):
        plot.check(tmp_path / "speed.pdf")
    with pytest.raises(InputError, match="no folder"):
        plot.check(tmp_path / "absent" / "speed.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnavailableError, match=r"pip install 'distilforge\[plot\]'"):
        plot.check(tmp_path / "speed.svg")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (BenchmarkOptions(shapes=("8by8",)), InputError, "a shape is texts x tokens"),
        (BenchmarkOptions(shapes=("0x8",)), InputError, "at least 1 text"),
        (
            BenchmarkOptions(shapes=("9x8",)),
            InputError,
            "outside of what the release takes: 1 to 8 texts of 2 to 64",
        ),
        (BenchmarkOptions(seconds=0.0), InputError, "seconds must be above 0"),
        (BenchmarkOptions(seconds=float("nan")), InputError, "seconds must be above 0"),
        (BenchmarkOptions(threads=0), InputError, "threads"),
        (
            BenchmarkOptions(variants=("onnxruntime-cpu:int4",)),
            InputError,
            "no variant 'onnxruntime-cpu:int4'",
        ),
        (BenchmarkOptions(plot=Path("speed.pdf")), InputError, "must end in .svg or .png"),
    ],
)
def test_options_that_cannot_be_timed(
    release: Path, options: BenchmarkOptions, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run.run_benchmark(release, options, lambda line: None)


def test_no_release(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no release at"):
        run.run_benchmark(tmp_path / "absent", BenchmarkOptions(), lambda line: None)


def test_a_shape_that_is_repeated_is_timed_once(manifest: Manifest) -> None:
    assert run._shapes(("1x16", "1x16"), manifest) == (Shape(batch=1, tokens=16),)
