"""The kinds of tests on a GPU, and which of them did not run."""

from tests.gpu_run.results import Result, skipped_entirely, table

ENGINES, PROVIDERS = "tests/gpu/test_engines.py::", "tests/gpu/test_onnxruntime_providers.py::"
RESULTS = (
    Result(test=f"{ENGINES}test_answers[fp16-tensorrt-rtx]", outcome="passed"),
    Result(test=f"{ENGINES}test_graphs[tensorrt-rtx]", outcome="skipped", reason="it keeps its graphs"),
    Result(
        test=f"{ENGINES}test_answers[fp16-tensorrt]", outcome="skipped", reason="tensorrt is not installed"
    ),
    Result(test=f"{PROVIDERS}test_answers[onnxruntime-cuda]", outcome="failed"),
    Result(test=f"{PROVIDERS}test_answers[onnxruntime-tensorrt]", outcome="skipped", reason="no library"),
    Result(test="tests/gpu/test_flash_attention.py::test_float32_is_refused", outcome="passed"),
)


def test_a_kind_is_a_file_and_a_target() -> None:
    assert [result.kind for result in RESULTS] == [
        "engines tensorrt-rtx",
        "engines tensorrt-rtx",
        "engines tensorrt",
        "onnxruntime_providers onnxruntime-cuda",
        "onnxruntime_providers onnxruntime-tensorrt",
        "flash_attention",
    ]


def test_kinds_of_which_nothing_ran() -> None:
    assert skipped_entirely(RESULTS, ()) == (
        "engines tensorrt",
        "onnxruntime_providers onnxruntime-tensorrt",
    )
    assert skipped_entirely(RESULTS, ("tensorrt",)) == ("onnxruntime_providers onnxruntime-tensorrt",)
    assert skipped_entirely(RESULTS, ("tensorrt", "onnxruntime_providers")) == ()


def test_the_table_counts_and_gives_the_reasons() -> None:
    header, *lines = table(RESULTS)
    assert header.split() == ["kind", "passed", "failed", "skipped", "why", "skipped"]
    assert lines[0].split() == "engines tensorrt-rtx 1 0 1 it keeps its graphs".split()
    assert lines[1].split() == "engines tensorrt 0 0 1 tensorrt is not installed".split()
    assert lines[2].split() == "onnxruntime_providers onnxruntime-cuda 0 1 0".split()
