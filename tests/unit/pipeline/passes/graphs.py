"""Small exported graphs to rewrite, the same with a pairwise mask, and their answers on ONNX Runtime."""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import onnxruntime
import pytest
import torch
from onnx_ir.passes.common import ShapeInferencePass

from model_src import heads
from model_src.config import DistilBertConfig
from model_src.initialize import initialize
from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.passes import base, fusions
from pipeline.passes.base import Applied
from pipeline.recipe import spans
from tests.exports import export

LAYERS = 2
CONFIG = DistilBertConfig(
    vocab_size=99,
    max_position_embeddings=32,
    n_layers=LAYERS,
    n_heads=4,
    dim=32,
    hidden_dim=64,
    labels=("no", "yes"),
    initializer_range=0.2,
)
# A fresh model's biases are 0, and a fusion that lost them would not be noticed
_BIAS_SCALE = 0.3

Array = npt.NDArray[np.generic]


def make_model(head: str, **changes: object) -> torch.nn.Module:
    config = replace(CONFIG, **changes)
    torch.manual_seed(3)
    model = heads.find(head)(config, "eager").eval()
    initialize(model, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=_BIAS_SCALE)
    return model


@cache
def _exported(head: str, changes: tuple[tuple[str, object], ...]) -> graph_file.Graph:
    model = make_model(head, **dict(changes))
    return export(model, spans.complete({}, model.axes, model.config.max_position_embeddings))


def exported(head: str = "sequence_classification", **changes: object) -> graph_file.Graph:
    """A graph of its own for the caller to change."""
    return _exported(head, tuple(changes.items())).clone()


def pairwise(head: str = "token_classification") -> graph_file.Graph:
    """The graph of `head` with attention_mask (batch, tokens, tokens): which token attends to which."""
    made = exported(head)
    mask = made.graph.inputs[1]
    batch, tokens = mask.shape
    mask.shape = onnx_ir.Shape([batch, tokens, tokens])
    unsqueeze = node(made, "distilbert/Unsqueeze")
    made.graph.register_initializer(
        onnx_ir.Value(name="axes", const_value=onnx_ir.tensor(np.array([1], dtype=np.int64), name="axes"))
    )
    unsqueeze.replace_input_with(1, made.graph.initializers["axes"])
    for each in made.graph:
        if each.name.startswith("distilbert/"):
            each.outputs[0].shape = onnx_ir.Shape([batch, 1, tokens, tokens])
    ShapeInferencePass()(made)
    graph_file.check(made)
    return made


def node(made: graph_file.Graph, name: str) -> onnx_ir.Node:
    (found,) = (each for each in made.graph if each.name == name)
    return found


def operators(made: graph_file.Graph) -> Counter[str]:
    return Counter(each.op_type for each in made.graph)


def run(made: graph_file.Graph, *names: str) -> list[int]:
    """Apply fusions under their contracts, check the graph, and return how many rewrites each made."""
    records = base.apply(made, [fusions.find(name) for name in names])
    graph_file.check(made)
    return [record.rewrites for record in records]


def refused(made: graph_file.Graph, name: str) -> Applied:
    """Apply one fusion without its contract."""
    applied = fusions.find(name).run(made)
    graph_file.check(made)
    return applied


def refused_in_one_layer(
    name: str, fault: Callable[[graph_file.Graph], None], reason: str
) -> tuple[graph_file.Graph, graph_file.Graph]:
    """The graph with `fault` in one layer, before and after fusion `name`, which must leave that layer for `reason`."""
    after = exported()
    fault(after)
    before = after.clone()
    with pytest.raises(
        ContractError, match=rf"{name} matched 1 times, must match at least 2 times.*{reason}"
    ):
        run(before.clone(), name)
    assert refused(after, name).rewrites == LAYERS - 1
    return before, after


def ragged(shape: Sequence[int], seed: int = 0) -> dict[str, Array]:
    """Random ids and masks of random lengths; the first text is masked throughout, and holes are punched."""
    numbers = np.random.default_rng(seed)
    lengths = numbers.integers(1, shape[-1] + 1, shape[:-1])
    lengths.reshape(-1)[0] = 0
    mask = (np.arange(shape[-1]) < lengths[..., None]).astype(np.int64)
    if shape[-1] > 4:
        mask[..., 2] = 0
    return {"input_ids": numbers.integers(0, CONFIG.vocab_size, shape), "attention_mask": mask}


def answer(made: graph_file.Graph, feeds: dict[str, Array]) -> list[Array]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        graph_file.save(made, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return session.run(None, feeds)


def optimized(made: graph_file.Graph) -> Counter[str]:
    """The operators that a session with default settings makes of the graph."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        graph_file.save(made, path)
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return Counter(each.op_type for each in onnx.load(options.optimized_model_filepath).graph.node)


def assert_same(before: graph_file.Graph, after: graph_file.Graph, feeds: dict[str, Array]) -> None:
    """Equal answers wherever a text has something to attend to, and finite ones everywhere."""
    attends = feeds["attention_mask"].any(-1)
    if attends.ndim > feeds["input_ids"].ndim - 1:
        attends = attends.all(-1)
    for expected, found in zip(answer(before, feeds), answer(after, feeds), strict=True):
        assert found.shape == expected.shape
        assert np.isfinite(found).all()
        # A text masked throughout has 10000 subtracted from every score, which rounds them to 1e-3
        np.testing.assert_allclose(found[attends], expected[attends], rtol=0, atol=1e-5)
