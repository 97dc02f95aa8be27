"""Small exported graphs, batches for them, and what ONNX Runtime answers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import onnxruntime
import torch

from model_src import heads
from model_src.config import DistilBertConfig
from model_src.initialize import initialize
from pipeline.graph.file import Graph
from pipeline.precision import Calibration, Feeds
from pipeline.recipe import spans
from tests.exports import export

CONFIG = DistilBertConfig(
    vocab_size=300,
    max_position_embeddings=32,
    n_layers=2,
    n_heads=4,
    dim=32,
    hidden_dim=64,
    labels=("no", "maybe", "yes"),
    initializer_range=0.2,
)
LAYERS = 2


@cache
def _exported(head: str) -> bytes:
    torch.manual_seed(3)
    labels = CONFIG.labels[:2] if head == "question_answering" else CONFIG.labels
    config = replace(CONFIG, labels=labels)
    model = heads.find(head)(config, "eager").eval()
    initialize(model, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Fresh biases are 0 and fresh layer norms 1, which would hide what is done to them.
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
            # One channel larger than the rest, as in trained layer norms
            if name.endswith("orm.weight"):
                parameter[3] *= 4
    made = export(model, spans.complete({}, model.axes, CONFIG.max_position_embeddings))
    return onnx_ir.to_proto(made).SerializeToString()


def exported(head: str = "sequence_classification") -> Graph:
    """A fresh copy of the tiny graph of `head`."""
    return onnx_ir.from_proto(onnx.load_from_string(_exported(head)))


def feeds(head: str, batch: int, tokens: int, seed: int = 0) -> Feeds:
    """Random ids, and masks of random lengths."""
    random = np.random.default_rng(seed)
    shape = (batch, 3, tokens) if head == "multiple_choice" else (batch, tokens)
    lengths = random.integers(1, tokens + 1, shape[:-1])
    return {
        "input_ids": random.integers(0, CONFIG.vocab_size, shape),
        "attention_mask": (np.arange(tokens) < lengths[..., None]).astype(np.int64),
    }


def calibration(head: str = "sequence_classification", batches: int = 8) -> Calibration:
    """`batches` batches of several shapes."""

    def again() -> Iterator[Feeds]:
        return (feeds(head, 2 + number % 3, 5 + 3 * number, seed=number) for number in range(batches))

    return again


def session(graph: Graph) -> onnxruntime.InferenceSession:
    """`graph` in ONNX Runtime, which checks its types and shapes."""
    options = onnxruntime.SessionOptions()
    # One thread: a pool would spin on while other tests run
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    content = onnx_ir.to_proto(graph).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answer(graph: Graph, inputs: Mapping[str, npt.NDArray[np.int64]]) -> list[npt.NDArray[np.float32]]:
    """The outputs of `graph`."""
    found: list[npt.NDArray[np.float32]] = session(graph).run(None, dict(inputs))
    return found


def relative_error(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Root mean square of the difference over that of `expected`."""
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))
