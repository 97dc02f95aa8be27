"""PyTorch eager fp32."""

import shutil
from pathlib import Path

from bench.subjects import Answer, Subject, subjects
from bench.torch_model import open_model


def _prepare(checkpoint: Path, folder: Path) -> None:
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)


def _open(folder: Path, threads: int) -> Answer:
    return open_model(folder, threads, attention="eager", precision="float32")


subjects.add(
    Subject(
        name="pytorch-eager",
        title="PyTorch eager fp32",
        settings="transformers, attn_implementation=eager, float32 weights, inference mode",
        packages=("torch", "transformers"),
        prepare=_prepare,
        open=_open,
    )
)
