"""Write the checkpoints of this folder: tiny random DistilBERTs, saved by transformers' TensorFlow and Flax classes.

Run it in an environment of its own, since transformers 5 has neither:

    python -m venv venv && venv/bin/pip install transformers==4.57.6 tensorflow-cpu tf-keras 'jax[cpu]' flax torch
    venv/bin/python tests/framework_checkpoints/make.py

Each head's folder gets config.json, model.safetensors of PyTorch, tf_model.h5.gz, flax_model.msgpack.gz, and
expected.npz: the inputs, and the outputs of TensorFlow's and Flax's models. `shards` has TensorFlow's shards.
"""

import gzip
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

ROOT = Path(__file__).parent
CLASSES = {
    "features": "DistilBertModel",
    "masked_lm": "DistilBertForMaskedLM",
    "multiple_choice": "DistilBertForMultipleChoice",
    "question_answering": "DistilBertForQuestionAnswering",
    "sequence_classification": "DistilBertForSequenceClassification",
    "token_classification": "DistilBertForTokenClassification",
}
CONFIG = {
    "vocab_size": 12,
    "max_position_embeddings": 8,
    "n_layers": 2,
    "n_heads": 2,
    "dim": 8,
    "hidden_dim": 12,
    "initializer_range": 0.3,
}


def packed(source: Path, target: Path) -> None:
    """Write `source` into the gzip file `target`, without a date."""
    target.write_bytes(gzip.compress(source.read_bytes(), mtime=0))


def make(head: str, architecture: str) -> None:
    """Write the folder of one head."""
    folder = ROOT / head
    folder.mkdir(exist_ok=True)
    torch.manual_seed(1)
    labels = {"id2label": {0: "a", 1: "b", 2: "c"}} if head.endswith("_classification") else {}
    pytorch = getattr(transformers, architecture)(transformers.DistilBertConfig(**CONFIG, **labels)).eval()
    with torch.no_grad():
        for parameter in pytorch.parameters():
            # Fresh biases are 0 and fresh norms 1, which would hide an exchange
            parameter += 0.1 * torch.randn_like(parameter)
    shape = (2, 3, 6) if head == "multiple_choice" else (2, 6)
    ids = torch.randint(0, 12, shape).numpy()
    mask = (np.arange(6) < np.array([6, 4]).reshape(2, *[1] * (len(shape) - 1))) * np.ones(shape, np.int64)
    feeds = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
    expected: dict[str, np.ndarray] = dict(feeds)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        pytorch.save_pretrained(scratch / "pytorch")
        shutil.copyfile(scratch / "pytorch" / "config.json", folder / "config.json")
        shutil.copyfile(scratch / "pytorch" / "model.safetensors", folder / "model.safetensors")
        tensorflow = getattr(transformers, f"TF{architecture}").from_pretrained(
            scratch / "pytorch", from_pt=True
        )
        tensorflow.save_pretrained(scratch / "tf", safe_serialization=False)
        packed(scratch / "tf" / "tf_model.h5", folder / "tf_model.h5.gz")
        for key, value in tensorflow(feeds).items():
            expected[f"tf_{key}"] = value.numpy()
        flax = getattr(transformers, f"Flax{architecture}").from_pretrained(scratch / "pytorch", from_pt=True)
        flax.save_pretrained(scratch / "flax")
        packed(scratch / "flax" / "flax_model.msgpack", folder / "flax_model.msgpack.gz")
        for key, value in flax(**feeds).items():
            expected[f"flax_{key}"] = np.asarray(value)
        if head == "sequence_classification":
            tensorflow.save_pretrained(scratch / "shards", safe_serialization=False, max_shard_size="2KB")
            (ROOT / "shards").mkdir(exist_ok=True)
            for path in (scratch / "shards").glob("tf_model*"):
                packed(path, ROOT / "shards" / f"{path.name}.gz")
            tensorflow.save_pretrained(scratch / "safe_tf", safe_serialization=True)
            packed(scratch / "safe_tf" / "model.safetensors", ROOT / "shards" / "tf.safetensors.gz")
            flax.save_pretrained(scratch / "safe_flax", safe_serialization=True)
            packed(scratch / "safe_flax" / "model.safetensors", ROOT / "shards" / "flax.safetensors.gz")
    np.savez(folder / "expected.npz", **expected)


if __name__ == "__main__":
    for head, architecture in CLASSES.items():
        make(head, architecture)
