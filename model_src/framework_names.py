"""Names and layouts of weights in TensorFlow's and Flax's checkpoints, as PyTorch has them. Does not need PyTorch.

Module names are the same in all three. The last part of a name differs, and both others store the matrix of a linear
layer as (in, out). Source: transformers 4.57, modeling_tf_pytorch_utils and modeling_flax_pytorch_utils.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# The last part of a name, PyTorch's, and whether a matrix is stored transposed
_PARTS = {
    "kernel": ("weight", True),
    "embedding": ("weight", False),
    "embeddings": ("weight", False),
    "scale": ("weight", False),
    "gamma": ("weight", False),
    "beta": ("bias", False),
}
# TensorFlow's names have the index of a layer as `layer_._0`
_LIST = re.compile(r"_\._(?=\d)")
_DEVICE = ":0"

FRAMEWORKS = ("tf", "flax")
"""The values of `format` in the metadata of safetensors files of the two."""


def in_pytorch(name: str) -> tuple[str, bool]:
    """PyTorch's name of the weight that TensorFlow or Flax calls `name`, and whether its matrix must be transposed.

    The parts of `name` are separated by "/" or ".".
    """
    parts = _LIST.sub("/", name.removesuffix(_DEVICE)).replace(".", "/").split("/")
    last, is_transposed = _PARTS.get(parts[-1], (parts[-1], False))
    return ".".join([*(part for part in parts[:-1] if part), last]), is_transposed


def tensor_in_pytorch(name: str, tensor: "Tensor") -> tuple[str, "Tensor"]:
    """PyTorch's name of a weight that TensorFlow or Flax calls `name`, and the weight in PyTorch's layout."""
    renamed, is_transposed = in_pytorch(name)
    return renamed, tensor.T.contiguous() if is_transposed and tensor.dim() == 2 else tensor
