"""The order of the columns."""

from bench.gpu.run import ordered


def test_the_columns_of_the_documentation_are_the_first() -> None:
    assert [subject.title for subject in ordered()] == [
        "eager",
        "SDPA",
        "torch.compile",
        "ONNX Runtime CUDA",
        "TensorRT",
        "TensorRT-RTX",
    ]
    assert [subject.title for subject in ordered() if subject.engine] == ["TensorRT", "TensorRT-RTX"]
