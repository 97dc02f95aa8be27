"""Reading and writing tensor files. Nothing here runs code from a file."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from model_src.errors import CheckpointError


def read(paths: tuple[Path, ...]) -> dict[str, Tensor]:
    """All tensors in `paths`, as float32 where they are floating point.

    Raises CheckpointError for a damaged file, a pickle that would run code, and NaN or infinite values.
    """
    tensors: dict[str, Tensor] = {}
    for path in paths:
        for name, tensor in _read_file(path).items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                count = int((~torch.isfinite(tensor)).sum())
                raise CheckpointError(
                    f"{name} in {path} holds {count} values that are NaN or infinite",
                    hint="the training run diverged or the file is damaged; use an earlier checkpoint",
                )
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
    return tensors


def write(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write `tensors` as safetensors that transformers reads."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # save_file would leave a file that only its owner can read
    path.write_bytes(safetensors.torch.save(contiguous, metadata={"format": "pt"}))


def _read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except SafetensorError as cause:
            raise CheckpointError(f"{path} is damaged: {cause}", hint="copy the checkpoint again") from cause
    try:
        with warnings.catch_warnings():
            # an unusual pickle protocol is no matter: what is not a tensor is refused in any
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as cause:
        raise CheckpointError(
            f"{path} is not trusted: it holds more than tensors, and loading it would run its code",
            hint="ask its author for model.safetensors",
        ) from cause
    except (RuntimeError, EOFError, ValueError, KeyError) as cause:
        raise CheckpointError(f"{path} is damaged: {cause}", hint="copy the checkpoint again") from cause
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path} holds no table of tensors", hint="save model.state_dict() there")
    return loaded
