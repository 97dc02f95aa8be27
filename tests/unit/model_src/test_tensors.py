"""Tensor files that would take much more memory than they have bytes are refused."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model_src import tensors
from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder


def test_a_pickle_that_repeats_one_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.zeros(1).expand(1 << 40)}, path)
    with pytest.raises(CheckpointError, match=f"would take {4 << 40} bytes, and the file has only"):
        tensors.read((path,))


def test_a_compressed_pickle_is_refused_by_the_size_that_it_unpacks_to(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.bin", tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.zeros(1 << 20)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CheckpointError, match="unpacks to"):
        tensors.read((packed,))


def test_tied_weights_are_read_from_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    weight = torch.ones(100, 10)
    torch.save({"embedding": weight, "output": weight}, path)
    assert tensors.read((path,)).keys() == {"embedding", "output"}


@pytest.mark.filterwarnings("ignore:.*(Sparse|sparse|quantize|nested|jagged|prototype|TypedStorage)")
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.zeros(2, 2).to_sparse(), "sparse_coo"),
        (lambda: torch.zeros(2, 2).to_sparse_csr(), "sparse_csr"),
        (lambda: torch.zeros(2, device="meta"), "on the device meta"),
        (lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), "nested"),
        (lambda: torch.zeros(2, dtype=torch.complex64), "complex64"),
        (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.bits8), "bits8"),
        (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), "float4_e2m1fn_x2"),
    ],
)
def test_tensors_that_are_not_dense_numbers_are_refused(
    make: Callable[[], torch.Tensor], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": make()}, path)
    with pytest.raises(CheckpointError, match=f"weight in .* is not a dense tensor .*{kind}"):
        tensors.read((path,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.int64, torch.bool])
def test_usual_types_are_read(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.nn.Parameter(torch.ones(2), requires_grad=False).to(dtype)}, path)
    assert tensors.read((path,))["weight"].tolist() == [1, 1]


def test_a_number_beyond_float32_counts_as_infinite(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.tensor([1e300], dtype=torch.float64)}, path)
    with pytest.raises(CheckpointError, match="1 values that are NaN or infinite"):
        tensors.read((path,))


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x05\x06" + bytes(18), bytes(1000)])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_bytes_that_are_not_tensors(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        tensors.read((path,))


@pytest.mark.filterwarnings("ignore")  # PyTorch's: its quantized tensors are deprecated
def test_a_quantized_tensor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)}, path)
    with pytest.raises(CheckpointError, match="quantized: weight is qint8"):
        tensors.read((path,))


def safetensors_file(path: Path, header: dict[str, object], data: bytes = b"") -> Path:
    content = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content + data)
    return path


def test_more_dimensions_than_pytorch_has_are_refused(tmp_path: Path) -> None:
    header = {"weight": {"dtype": "F32", "shape": [1] * 100, "data_offsets": [0, 4]}}
    path = safetensors_file(tmp_path / "model.safetensors", header, bytes(4))
    with pytest.raises(CheckpointError, match=r"weight in .* 100 dimensions"):
        tensors.read((path,))


def test_very_many_empty_tensors_are_refused(tmp_path: Path) -> None:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    path = safetensors_file(tmp_path / "model.safetensors", {str(index): empty for index in range(100_001)})
    with pytest.raises(CheckpointError, match="has 100,001 tensors"):
        tensors.read((path,))
    with pytest.raises(CheckpointError, match="has 100,001 tensors"):
        CheckpointFolder(path=tmp_path, weights=(path,)).shapes()
