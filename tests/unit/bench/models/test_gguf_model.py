"""The names of GGUF: llama.cpp gets every tensor of the encoder, and nothing of the head."""

import re
from pathlib import Path

import pytest
from safetensors import safe_open

from bench.models.gguf_model import names
from tests.conftest import MakeCheckpoint

LAYERS = 2


@pytest.fixture
def sources(make_checkpoint: MakeCheckpoint) -> tuple[str, ...]:
    """The tensors of a checkpoint."""
    checkpoint: Path = make_checkpoint("sequence_classification", n_layers=LAYERS)
    with safe_open(checkpoint / "model.safetensors", framework="np") as tensors:
        return tuple(tensors.keys())


def test_every_tensor_of_the_encoder_has_one_name(sources: tuple[str, ...]) -> None:
    named = names(sources, LAYERS)
    assert {source for _, source in named} == {
        source for source in sources if source.startswith("distilbert.")
    }
    assert len({name for name, _ in named}) == len(named)


def test_they_are_those_of_llama_cpps_architecture_bert(sources: tuple[str, ...]) -> None:
    for name, _ in names(sources, LAYERS):
        assert re.fullmatch(
            r"(token_embd|position_embd)\.weight|token_embd_norm\.(weight|bias)"
            r"|blk\.[01]\.(attn_[qkv]|attn_output(_norm)?|ffn_up|ffn_down|layer_output_norm)\.(weight|bias)",
            name,
        )
