"""The order of the columns, and the files that they open."""

from pathlib import Path

from bench.gpu.run import _prepare, candidates, ordered
from bench.gpu.subjects import subjects


def test_the_columns_of_the_documentation_are_the_first() -> None:
    titles = [
        "eager",
        "SDPA",
        "torch.compile",
        "torch.compile max-autotune",
        "ONNX Runtime CUDA",
        "ONNX Runtime CUDA, CUDA graphs",
        "TensorRT",
        "TensorRT-RTX",
    ]
    # Each has two columns, of which the second includes copies
    assert [subject.title for subject in ordered()] == [
        *titles,
        *(f"{title}, with copies" for title in titles),
    ]


def test_engines_are_judged_before_graphs() -> None:
    assert candidates(ordered(), copies=False) == (
        "TensorRT",
        "TensorRT-RTX",
        "ONNX Runtime CUDA, CUDA graphs",
    )
    without = [subject for subject in ordered() if subject.files != "tensorrt"]
    assert candidates(without, copies=True) == (
        "TensorRT-RTX, with copies",
        "ONNX Runtime CUDA, CUDA graphs, with copies",
    )


def test_both_columns_of_a_subject_open_the_same_files() -> None:
    for subject in ordered():
        base = subjects.find(subject.column)
        assert not base.copies
        assert subject.files == base.files
        assert (subject.prepare, subject.packages, subject.settings) == (
            base.prepare,
            base.packages,
            base.settings,
        )


def test_a_folder_that_was_compiled_before_serves_each_column_of_its_target(tmp_path: Path) -> None:
    compiled = tmp_path / "compiled"
    compiled.mkdir()
    (compiled / "model.onnx").write_bytes(b"graph")
    prepared: dict[str, Path] = {}
    folders = {
        _prepare(
            subject,
            checkpoint=tmp_path / "checkpoint",
            cache=tmp_path / "cache",
            compiled={"onnxruntime-cuda": compiled},
            prepared=prepared,
            progress=lambda text: None,
        )
        for subject in ordered()
        if subject.column.startswith("onnxruntime-cuda")
    }
    (folder,) = folders
    assert (folder / "compiled" / "model.onnx").read_bytes() == b"graph"
