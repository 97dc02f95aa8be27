"""Files that are not graphs."""

from pathlib import Path

import onnx
import pytest
from distilforge.onnxruntime import sizes


@pytest.mark.parametrize("content", [b"\x3a\xff", b"\x3a\x02\x0a\xff", b"\x0b"])
def test_a_file_that_is_cut_short(tmp_path: Path, content: bytes) -> None:
    """While an error is on its way there are still views of the file, which must not hide it."""
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"cut short|unknown kind"):
        sizes.names(tmp_path / "model.onnx")


def test_a_tensor_with_many_huge_dimensions_takes_no_time(tmp_path: Path) -> None:
    """Their exact product would have millions of digits; test runs have a time limit of their own."""
    tensor = onnx.TensorProto(dims=[2**62] * 50_000, name="w")
    graph = onnx.GraphProto(initializer=[tensor])
    (tmp_path / "model.onnx").write_bytes(onnx.ModelProto(graph=graph).SerializeToString())
    assert sizes.names(tmp_path / "model.onnx") == sizes.Names(every=frozenset(), sizes=frozenset())
