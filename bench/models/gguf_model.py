"""The encoder as a GGUF file with 8-bit weights (Q8_0), as llama.cpp's own converter writes it.

llama.cpp has DistilBERT as its architecture `bert` without token types. The file has no vocabulary, since subjects get
token ids.
"""

import json
from pathlib import Path

import numpy as np
from distilforge.logits.probabilities import Floats

ARCHITECTURE = "bert"
_EMBEDDINGS = {
    "token_embd": "embeddings.word_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
}
_LAYER = {
    "attn_q": "attention.q_lin",
    "attn_k": "attention.k_lin",
    "attn_v": "attention.v_lin",
    "attn_output": "attention.out_lin",
    "attn_output_norm": "sa_layer_norm",
    "ffn_up": "ffn.lin1",
    "ffn_down": "ffn.lin2",
    "layer_output_norm": "output_layer_norm",
}
# llama.cpp adds it to the embeddings in float32
_FULL_PRECISION = "position_embd.weight"


def write(checkpoint: Path, file: Path) -> None:
    """Write the encoder of `checkpoint` to `file`."""
    import gguf
    from safetensors import safe_open

    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(file, ARCHITECTURE)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["dim"])
    writer.add_block_count(config["n_layers"])
    writer.add_feed_forward_length(config["hidden_dim"])
    writer.add_head_count(config["n_heads"])
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_token_type_count(1)
    writer.add_tokenizer_model("none")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    with safe_open(checkpoint / "model.safetensors", framework="np") as tensors:
        for name, source in names(tuple(tensors.keys()), config["n_layers"]):
            array: Floats = tensors.get_tensor(source).astype(np.float32)
            if array.ndim == 1 or name == _FULL_PRECISION:
                writer.add_tensor(name, array)
            else:
                kind = gguf.GGMLQuantizationType.Q8_0
                writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def names(sources: tuple[str, ...], layers: int) -> list[tuple[str, str]]:
    """The name of each tensor in GGUF and in the checkpoint."""
    modules = dict(_EMBEDDINGS)
    for layer in range(layers):
        modules |= {
            f"blk.{layer}.{name}": f"transformer.layer.{layer}.{module}" for name, module in _LAYER.items()
        }
    return [
        (f"{name}.{kind}", source)
        for name, module in modules.items()
        for kind in ("weight", "bias")
        if (source := f"distilbert.{module}.{kind}") in sources
    ]
