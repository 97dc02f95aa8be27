"""A delta: low-rank changes of the encoder's matrices (LoRA), and tensors that are replaced or added.

LoRA: Hu and others 2021, arXiv:2106.09685.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

DOWN = ".lora_A"
UP = ".lora_B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The metadata in the file of a delta."""

    head: str
    """The name of the head."""
    architecture: str
    """The class in transformers."""
    base: str
    """The package and version of the encoder, as pip writes it."""
    config: Mapping[str, object]
    """The fields of config.json that the head adds."""
    licence: str
    """The licence of the delta."""
    metric: Mapping[str, float]
    """The metrics on the evaluation set, by name."""
    seed: int
    """The seed of the training."""
    command: str
    """The command of the training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """The changes that turn the encoder into a model with a head."""

    description: Description
    """The metadata of the file."""
    tensors: Mapping[str, Tensor]
    """Tensors under the names of Hugging Face; `NAME.lora_A` (rank, in) and `NAME.lora_B` (out, rank) change
    `NAME.weight`."""

    def apply(self, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of `base` in fp32, with every changed matrix W replaced by W + B A, and with all other tensors.

        Raises KeyError if the delta changes a matrix that `base` does not contain.
        """
        merged = {name: value.float() for name, value in base.items()}
        for name, value in self.tensors.items():
            if name.endswith(DOWN):
                matrix = name.removesuffix(DOWN)
                merged[f"{matrix}.weight"] += self.tensors[matrix + UP].float() @ value.float()
            elif not name.endswith(UP):
                merged[name] = value.float()
        return {name: value.contiguous() for name, value in merged.items()}

    def write(self, path: Path) -> None:
        """Write the tensors in fp16, with the description as metadata."""
        path.parent.mkdir(parents=True, exist_ok=True)
        halves = {name: value.to(torch.float16).contiguous() for name, value in sorted(self.tensors.items())}
        path.write_bytes(save(halves, {"distilforge": json.dumps(asdict(self.description), sort_keys=True)}))


def read(path: Path) -> Delta:
    """The delta in a file that `Delta.write` wrote; raises ValueError for any other safetensors file."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if "distilforge" not in metadata:
            raise ValueError(
                f"{path} is not a delta: it has no `distilforge` metadata; make it with `make demo-train`"
            )
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return Delta(description=Description(**json.loads(metadata["distilforge"])), tensors=tensors)
