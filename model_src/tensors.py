"""Read and write tensor files, without running code from a file."""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model_src import file_kind, flax_file, keras_file
from model_src.errors import CheckpointError
from model_src.folder import check_count
from model_src.framework_names import FRAMEWORKS, tensor_in_pytorch

# PyTorch itself computes with 64 at most
_MOST_DIMENSIONS = 32
_CLASSES = (Tensor, torch.nn.Parameter)
_DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"),
    *("int8", "int16", "int32", "int64", "uint8", "bool"),
)


def read(paths: tuple[Path, ...]) -> dict[str, Tensor]:
    """All tensors in `paths` by name; floating-point tensors become float32.

    Raises CheckpointError for a damaged file, for a pickle that would run code, for tensors of other kinds than dense
    numbers, and for NaN or infinite values.
    """
    tensors: dict[str, Tensor] = {}
    for path in paths:
        for name, tensor in _read_file(path).items():
            _check_kind(name, tensor, path)
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
            if not torch.isfinite(tensors[name]).all():
                count = int((~torch.isfinite(tensors[name])).sum())
                raise CheckpointError(
                    f"{name} in {path} contains {count} values that are NaN or infinite",
                    hint="the training run diverged or the file is damaged; use an earlier checkpoint",
                )
    return tensors


def write(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write `tensors` to `path` as safetensors, with the metadata that transformers asks for."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # save_file would create a file that only its owner can read
    path.write_bytes(safetensors.torch.save(contiguous, metadata={"format": "pt"}))


def _check_kind(name: str, tensor: Tensor, path: Path) -> None:
    """Raise CheckpointError for a tensor that is quantized, sparse, nested, without values, or of an unusual type."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_quantized:
        raise CheckpointError(
            f"the weights in {path} are quantized: {name} is {dtype}",
            hint="build from the checkpoint before quantization, and choose an int8 variant: --variant TARGET:int8",
        )
    if type(tensor) not in _CLASSES or tensor.layout != torch.strided or tensor.device.type != "cpu":
        kind = f"{type(tensor).__name__}, {str(tensor.layout).removeprefix('torch.')}, on the device {tensor.device}"
    elif tensor.dim() > _MOST_DIMENSIONS:
        kind = f"{tensor.dim()} dimensions"
    elif tensor.is_nested or dtype not in _DTYPES:
        kind = f"{dtype}, nested" if tensor.is_nested else dtype
    else:
        return
    raise CheckpointError(
        f"{name} in {path} is not a dense tensor of a type that is supported: {kind}; types are {', '.join(_DTYPES)}",
        hint="save model.state_dict() with dense tensors in float32, as safetensors",
    )


def _read_file(path: Path) -> dict[str, Tensor]:
    file_kind.check_is_not_a_stand_in(path)
    if path.suffix == ".h5":
        return keras_file.read(path)
    if path.suffix == ".msgpack":
        return flax_file.read(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            # The pickle protocol does not matter: whatever is not a tensor is refused in any protocol
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    # What torch.load and Python's unpickler raise for code, for bytes that are not a pickle, or a malformed one
    except (
        *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError),
        *(OSError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError, struct.error),
    ) as cause:
        raise _refusal(path, cause) from cause
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(
            f"{path} does not contain a dictionary of tensors", hint="save model.state_dict() in it"
        )
    if not all(isinstance(name, str) for name in loaded):
        raise CheckpointError(
            f"{path} has tensors whose names are not text", hint="save model.state_dict() in it"
        )
    _check_size(loaded, path)
    return loaded


def _refusal(path: Path, cause: Exception) -> CheckpointError:
    """Why torch.load could not read `path`. Its own messages advise to run the code in the file."""
    is_pytorch = file_kind.is_pytorch(path)
    if isinstance(cause, pickle.UnpicklingError) and (is_pytorch or file_kind.has_globals(path)):
        return CheckpointError(
            f"{path} is not trusted: it contains more than tensors, and loading it would run its code",
            hint="ask its author for model.safetensors",
        )
    if is_pytorch:
        # EOFError has no text
        problem = str(cause) or "it ends too early"
        return CheckpointError(f"{path} is damaged: {problem}", hint="copy the checkpoint again")
    if file_kind.is_safetensors(path):
        return CheckpointError(
            f"{path} is not a PyTorch file, but safetensors", hint="name it model.safetensors"
        )
    return CheckpointError(
        f"{path} is not a PyTorch file: torch.save did not write it",
        hint="download or copy the file again, or save the model as model.safetensors",
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            check_count(file.keys(), path)
        tensors = safetensors.torch.load_file(path)
    # RuntimeError: PyTorch has fewer dimensions than the format
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as cause:
        raise file_kind.unreadable_safetensors(path, cause) from cause
    if metadata.get("format") not in FRAMEWORKS:
        return tensors
    return dict(tensor_in_pytorch(name, tensor) for name, tensor in tensors.items())


def _check_archive(path: Path) -> None:
    """Raise CheckpointError for a zip archive whose entries unpack to much more than the archive."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as cause:
        raise CheckpointError(f"{path} is damaged: {cause}", hint="copy the checkpoint again") from cause
    if unpacked > 2 * path.stat().st_size:
        raise CheckpointError(
            f"{path} unpacks to {unpacked} bytes, and the file has only {path.stat().st_size}",
            hint="save it with torch.save, which does not compress, or as model.safetensors",
        )


def _check_size(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise CheckpointError for tensors that are much larger than their file.

    A pickle can repeat one stored value as often as it likes. Tied weights are two tensors with the same values.
    """
    size = path.stat().st_size
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if total > 2 * size:
        raise CheckpointError(
            f"the tensors in {path} would take {total} bytes, and the file has only {size}",
            hint="save contiguous tensors, as model.safetensors",
        )
