"""The order of the columns."""

from bench.gpu.run import candidates, ordered
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
        base = subjects.find(subject.files)
        assert not base.copies
        assert (subject.prepare, subject.packages, subject.settings) == (
            base.prepare,
            base.packages,
            base.settings,
        )
