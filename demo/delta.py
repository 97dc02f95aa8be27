"""A head's delta: low-rank changes of the base encoder's matrices, and the tensors that replace or extend it."""

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
    """What a delta's file says about itself."""

    head: str
    architecture: str
    base: str
    config: Mapping[str, object]
    licence: str
    metric: Mapping[str, float]
    seed: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """Tensors under Hugging Face's names; `NAME.lora_A` and `NAME.lora_B` change the matrix `NAME.weight`."""

    description: Description
    tensors: Mapping[str, Tensor]

    def applied(self, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`base` with every W replaced by W + B @ A, and with the delta's whole tensors, in fp32.

        Raises:
            KeyError: the delta changes a matrix that `base` lacks.
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
        """Write in fp16, with the description as metadata."""
        path.parent.mkdir(parents=True, exist_ok=True)
        halves = {name: value.to(torch.float16).contiguous() for name, value in sorted(self.tensors.items())}
        path.write_bytes(save(halves, {"distilforge": json.dumps(asdict(self.description), sort_keys=True)}))


def read(path: Path) -> Delta:
    """Read what `Delta.write` wrote.

    Raises:
        ValueError: the file is no delta of ours.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if "distilforge" not in metadata:
            raise ValueError(f"{path} has no `distilforge` metadata; regenerate it with `make demo-train`")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return Delta(description=Description(**json.loads(metadata["distilforge"])), tensors=tensors)
