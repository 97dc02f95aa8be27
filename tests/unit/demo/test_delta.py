"""Deltas: their metadata, how they change the encoder, and their size."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from demo import delta as deltas
from demo.assemble import CHECKPOINTS, DELTAS, ENCODER_ALONE

HEADS = sorted(set(CHECKPOINTS) - {ENCODER_ALONE})
LARGEST_BYTES = 4_000_000


def _description() -> deltas.Description:
    return deltas.Description(
        head="token_classification",
        architecture="DistilBertForTokenClassification",
        base="base==1",
        config={"id2label": {"0": "O"}},
        licence="Apache-2.0",
        metric={"micro_f1": 0.5},
        seed=1,
        command="train",
    )


def test_a_delta_adds_the_product_and_replaces_whole_tensors(tmp_path: Path) -> None:
    delta = deltas.Delta(
        description=_description(),
        tensors={
            "lin.lora_A": torch.tensor([[1.0, 2.0]]),
            "lin.lora_B": torch.tensor([[3.0], [4.0]]),
            "lin.bias": torch.tensor([5.0, 6.0]),
        },
    )
    delta.write(tmp_path / "delta.safetensors")
    read = deltas.read(tmp_path / "delta.safetensors")
    merged = read.apply({"lin.weight": torch.ones(2, 2), "lin.bias": torch.zeros(2), "kept": torch.ones(1)})
    assert read.description == _description()
    assert merged["lin.weight"].tolist() == [[4.0, 7.0], [5.0, 9.0]]
    assert merged["lin.bias"].tolist() == [5.0, 6.0]
    assert set(merged) == {"lin.weight", "lin.bias", "kept"}


def test_a_file_that_is_not_a_delta_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="make demo-train"):
        deltas.read(tmp_path / "other.safetensors")


@pytest.mark.parametrize("head", HEADS)
def test_committed_deltas_are_small_half_precision_and_described(head: str) -> None:
    path = DELTAS / f"{head}.safetensors"
    delta = deltas.read(path)
    assert path.stat().st_size <= LARGEST_BYTES
    assert {value.dtype for value in delta.tensors.values()} == {torch.float16}
    assert all(value.isfinite().all() for value in delta.tensors.values())
    assert delta.description.head == head
    assert delta.description.metric
