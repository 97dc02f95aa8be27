"""TensorFlow's tf_model.h5, read with h5py alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model_src.errors import CheckpointError
from model_src.framework_names import tensor_in_pytorch

if TYPE_CHECKING:
    import h5py

_DTYPES = ("float16", "float32", "float64")
# A DistilBERT of 6 layers has about 200; visiting one takes 0.1 ms
_MOST_ITEMS = 10_000
_MOST_LEVELS = 32
_AGAIN = "copy the checkpoint again, or save it as safetensors"


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in `path`, with PyTorch's names and layouts.

    Raises CheckpointError for a damaged file, for one whose parts are in other files, for other types than floats, for
    tensors that are much larger than the file, and if h5py is not installed.
    """
    try:
        import h5py
    except ImportError as cause:
        raise CheckpointError(
            f"{path} needs the h5py package: {cause}", hint="pip install 'distilforge-pipeline[checkpoints]'"
        ) from cause
    tensors: dict[str, Tensor] = {}
    # Tied weights are stored with each layer that uses them
    room = 2 * path.stat().st_size
    try:
        with h5py.File(path, "r") as file:
            for stored_name, dataset in _weights(file, path):
                room -= dataset.nbytes
                if dataset.dtype.name not in _DTYPES or room < 0:
                    raise CheckpointError(
                        f"{stored_name} in {path} has the type {dataset.dtype} and {dataset.nbytes} bytes; supported "
                        f"are {', '.join(_DTYPES)}, and at most twice the size of the file in all",
                        hint="save the model as safetensors",
                    )
                name, tensor = tensor_in_pytorch(stored_name, torch.from_numpy(dataset[()]))
                tensors[name] = tensor
    # What h5py raises for bytes that are not HDF5, or a malformed file
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError) as cause:
        raise CheckpointError(f"{path} is damaged: {cause}", hint=_AGAIN) from cause
    return tensors


def _weights(file: "h5py.File", path: Path) -> Iterator[tuple[str, "h5py.Dataset"]]:
    """Each dataset with its variable's name, without the name of the model.

    Keras has a group for each layer, and in it the variable's whole name. A shard has the names without the model's.
    """
    import h5py

    count = 0
    for key in file:
        item = _hard(file, key, path)
        is_layer = isinstance(item, h5py.Group) and any(
            name.startswith("weight_names") for name in item.attrs
        )
        for name, inner in _items(item, "" if is_layer else key, path, _MOST_LEVELS):
            # A group can be in others again and again, so that a small file has endlessly many names
            count += 1
            if count > _MOST_ITEMS:
                raise CheckpointError(
                    f"{path} has more than {_MOST_ITEMS:,} groups and datasets",
                    hint="do not use this checkpoint",
                )
            if isinstance(inner, h5py.Dataset):
                yield (name.partition("/")[2] if is_layer else name), inner


def _items(
    item: "h5py.Group | h5py.Dataset", name: str, path: Path, levels: int
) -> Iterator[tuple[str, "h5py.Group | h5py.Dataset"]]:
    """`item` and all groups and datasets in it, with their names."""
    import h5py

    if levels == 0:
        raise CheckpointError(
            f"{path} has groups in more than {_MOST_LEVELS} levels", hint="do not use this checkpoint"
        )
    yield name, item
    if isinstance(item, h5py.Dataset):
        if item.external or item.is_virtual:
            raise CheckpointError(
                f"{name} in {path} is stored in another file", hint="do not use this checkpoint"
            )
        return
    for key in item:
        yield from _items(_hard(item, key, path), f"{name}/{key}" if name else key, path, levels - 1)


def _hard(group: "h5py.Group", key: str, path: Path) -> "h5py.Group | h5py.Dataset":
    """The item `key` of `group`; CheckpointError for a link, which could lead to another file or around in a circle."""
    import h5py

    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise CheckpointError(f"{key} in {path} is a link", hint="do not use this checkpoint")
    return group[key]
