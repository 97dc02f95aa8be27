"""Masks, positions and implementations of attention."""

import pytest
import torch

from model_src.checkpoint import load_checkpoint
from model_src.config import DistilBertConfig
from model_src.errors import UnavailableAttentionError
from model_src.heads.features import Features
from model_src.initialize import initialize
from tests.conftest import MakeCheckpoint

SMALL = DistilBertConfig(
    vocab_size=50,
    max_position_embeddings=40,
    n_layers=2,
    n_heads=4,
    dim=32,
    hidden_dim=64,
    initializer_range=0.2,
)


def encoder(implementation: str, config: DistilBertConfig = SMALL) -> Features:
    model = Features(config, implementation).eval()
    initialize(model, config)
    return model


def hidden(model: Features, *inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        (states,) = model(*inputs)
    assert isinstance(states, torch.Tensor)
    return states


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_fully_masked_row_is_finite(implementation: str, dtype: torch.dtype) -> None:
    ids = torch.randint(0, 50, (2, 7))
    mask = torch.ones_like(ids)
    mask[0] = 0
    assert torch.isfinite(hidden(encoder(implementation).to(dtype), ids, mask)).all()


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_masked_tokens_change_nothing(implementation: str) -> None:
    model = encoder(implementation)
    ids = torch.randint(0, 50, (1, 9))
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    other = ids.clone()
    other[0, 6:] = (other[0, 6:] + 1) % 50
    first, second = hidden(model, ids, mask), hidden(model, other, mask)
    assert torch.equal(first[:, :6], second[:, :6])
    assert not torch.equal(first[:, 6:], second[:, 6:])


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_two_texts_packed_into_one_row_answer_as_alone(implementation: str) -> None:
    model = encoder(implementation)
    first, second = torch.randint(0, 50, (1, 5)), torch.randint(0, 50, (1, 8))
    segments = torch.tensor([[0] * 5 + [1] * 8])
    pairwise = (segments[:, :, None] == segments[:, None, :]).long()
    positions = torch.cat([torch.arange(5), torch.arange(8)])[None]
    packed = hidden(model, torch.cat([first, second], dim=1), pairwise, positions)
    assert (packed[:, :5] - hidden(model, first, torch.ones_like(first))).abs().max() < 1e-5
    assert (packed[:, 5:] - hidden(model, second, torch.ones_like(second))).abs().max() < 1e-5


def test_position_ids_default_to_the_order_of_the_tokens() -> None:
    model = encoder("eager")
    ids, mask = torch.randint(0, 50, (2, 6)), torch.ones(2, 6, dtype=torch.long)
    explicit = torch.arange(6)[None].expand(2, 6)
    assert torch.equal(hidden(model, ids, mask), hidden(model, ids, mask, explicit))
    assert not torch.equal(hidden(model, ids, mask), hidden(model, ids, mask, explicit.flip(1)))


def test_dropout_is_active_in_training_only() -> None:
    config = DistilBertConfig(
        vocab_size=50, max_position_embeddings=40, n_layers=1, n_heads=2, dim=16, hidden_dim=16, dropout=0.5
    )
    model = encoder("eager", config)
    ids, mask = torch.randint(0, 50, (2, 6)), torch.ones(2, 6, dtype=torch.long)
    assert torch.equal(hidden(model, ids, mask), hidden(model, ids, mask))
    model.train()
    assert not torch.equal(hidden(model, ids, mask), hidden(model, ids, mask))


def test_unknown_implementation_lists_the_known(make_checkpoint: MakeCheckpoint) -> None:
    with pytest.raises(UnavailableAttentionError, match="eager, sdpa, flash"):
        load_checkpoint(make_checkpoint("features", tokenizer=False), attention="flashy")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_flash_says_what_is_missing() -> None:
    with pytest.raises(UnavailableAttentionError, match="needs a CUDA device"):
        Features(SMALL, "flash")
