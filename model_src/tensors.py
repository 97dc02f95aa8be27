"""Read and write tensor files, without running code from a file."""

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
    """All tensors in `paths` by name; floating-point tensors become float32.

    Raises CheckpointError for a damaged file, for a pickle that would run code, and for NaN or infinite values.
    """
    tensors: dict[str, Tensor] = {}
    for path in paths:
        for name, tensor in _read_file(path).items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                count = int((~torch.isfinite(tensor)).sum())
                raise CheckpointError(
                    f"{name} in {path} contains {count} values that are NaN or infinite",
                    hint="the training run diverged or the file is damaged; use an earlier checkpoint",
                )
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
    return tensors


def write(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write `tensors` to `path` as safetensors, with the metadata that transformers asks for."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # save_file would create a file that only its owner can read
    path.write_bytes(safetensors.torch.save(contiguous, metadata={"format": "pt"}))


def _read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except SafetensorError as cause:
            raise CheckpointError(f"{path} is damaged: {cause}", hint="copy the checkpoint again") from cause
    try:
        with warnings.catch_warnings():
            # The pickle protocol does not matter: whatever is not a tensor is refused in any protocol
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as cause:
        raise CheckpointError(
            f"{path} is not trusted: it contains more than tensors, and loading it would run its code",
            hint="ask its author for model.safetensors",
        ) from cause
    except (RuntimeError, EOFError, ValueError, KeyError) as cause:
        raise CheckpointError(f"{path} is damaged: {cause}", hint="copy the checkpoint again") from cause
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(
            f"{path} does not contain a dictionary of tensors", hint="save model.state_dict() in it"
        )
    return loaded
