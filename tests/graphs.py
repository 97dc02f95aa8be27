"""Graphs for tests: tiny exports of every head and variations of them, batches for them, and their answers.

    graph = exported("masked_lm", n_layers=1)      # a copy of its own, which the test may change
    inputs = ragged((3, 7))                        # three texts of up to seven tokens
    (logits,) = answer(graph, inputs)              # by ONNX Runtime

`pairwise`, `torchscript` and `renamed` are graphs that differ from the exporter's.
"""

import io
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import onnxruntime
import torch
from distilforge.manifest import Span
from onnx_ir.passes.common import ShapeInferencePass

from model_src import heads
from model_src.config import DistilBertConfig
from model_src.heads.base import Head
from model_src.initialize import initialize
from pipeline.graph import file as graph_file
from pipeline.graph.builder import describe
from pipeline.graph.file import Graph
from pipeline.precision import Calibration, Feeds
from pipeline.recipe import spans
from tests import exports

LAYERS = 2
CONFIG = DistilBertConfig(
    vocab_size=300,
    max_position_embeddings=32,
    n_layers=LAYERS,
    n_heads=4,
    dim=32,
    hidden_dim=64,
    labels=("no", "maybe", "yes"),
    initializer_range=0.2,
)

Array = npt.NDArray[np.generic]


def make_model(head: str, **changes: object) -> Head:
    """The model behind `exported`: the same random weights at each call; `changes` are fields of CONFIG."""
    if head == "question_answering":
        changes = {"labels": CONFIG.labels[:2]} | changes
    config = replace(CONFIG, **changes)
    torch.manual_seed(3)
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
    return model


def axes(head: str, **given: Span) -> dict[str, Span]:
    """The spans that the graph of `head` is exported with: all that CONFIG allows, but for those that are `given`."""
    return spans.complete(given, heads.find(head).axes, CONFIG.max_position_embeddings)


def exported(
    head: str = "sequence_classification", *, sequence: Span | None = None, **changes: object
) -> Graph:
    """The graph of `make_model(head, **changes)`, over the span `sequence` of tokens where one is given."""
    # Read anew each time: a clone would share types and shapes, and a graph shares the numbers of its ModelProto
    return onnx_ir.from_proto(onnx.load_from_string(_exported(head, sequence, tuple(changes.items()))))


@cache
def _exported(head: str, sequence: Span | None, changes: tuple[tuple[str, object], ...]) -> bytes:
    given = {} if sequence is None else {"sequence": sequence}
    return exports.exported(make_model(head, **dict(changes)), axes(head, **given))


def pairwise(head: str = "token_classification") -> Graph:
    """The graph of `head` with attention_mask (batch, tokens, tokens): which token attends to which."""
    graph = exported(head)
    mask = graph.graph.inputs[1]
    batch, tokens = mask.shape
    mask.shape = onnx_ir.Shape([batch, tokens, tokens])
    axis = onnx_ir.Value(name="axes", const_value=onnx_ir.tensor(np.array([1]), name="axes"))
    graph.graph.register_initializer(axis)
    node(graph, "distilbert/Unsqueeze").replace_input_with(1, axis)
    for of_mask in graph.graph:
        if of_mask.name.startswith("distilbert/"):
            of_mask.outputs[0].shape = onnx_ir.Shape([batch, 1, tokens, tokens])
    ShapeInferencePass()(graph)
    graph_file.check(graph)
    return graph


def torchscript(head: str = "sequence_classification") -> Graph:
    """The same model as torch's older exporter writes it, with TorchScript's operators and names."""
    graph = onnx_ir.from_proto(onnx.load_from_string(_torchscript(head)))
    ShapeInferencePass()(graph)
    return graph


@cache
def _torchscript(head: str) -> bytes:
    ids = torch.ones((2, 5), dtype=torch.int64)
    names = {0: "batch", 1: "sequence"}
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            make_model(head),
            (ids, ids),
            content,
            dynamo=False,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": names, "attention_mask": names},
            opset_version=20,
        )
    return content.getvalue()


def renamed(graph: Graph, operator: str) -> Graph:
    """`graph`, changed as if an exporter wrote `operator` under another name."""
    for candidate in graph.graph:
        if candidate.op_type == operator:
            candidate.op_type, candidate.domain = f"{operator}V2", "elsewhere"
    graph.opset_imports["elsewhere"] = 1
    return graph


def node(graph: Graph, name: str) -> onnx_ir.Node:
    """The node called `name`."""
    (named,) = (candidate for candidate in graph.graph if candidate.name == name)
    return named


def operators(graph: Graph) -> Counter[str]:
    """How many nodes of each operator there are."""
    return Counter(candidate.op_type for candidate in graph.graph)


def add_reader(graph: Graph, value: onnx_ir.Value) -> None:
    """Let one more node read `value`, and the graph give out what that node computes."""
    extra = onnx_ir.node("Identity", [value], name="extra/Identity")
    describe(extra.outputs[0], value.shape, value.dtype)
    graph.graph.append(extra)
    graph.graph.outputs.append(extra.outputs[0])


def feeds(head: str, batch: int, tokens: int, seed: int = 0) -> Feeds:
    """Random ids, and masks of random lengths of at least one token."""
    random = np.random.default_rng(seed)
    shape = (batch, 3, tokens) if head == "multiple_choice" else (batch, tokens)
    lengths = random.integers(1, tokens + 1, shape[:-1])
    return {
        "input_ids": random.integers(0, CONFIG.vocab_size, shape),
        "attention_mask": (np.arange(tokens) < lengths[..., None]).astype(np.int64),
    }


def ragged(shape: Sequence[int], seed: int = 0) -> dict[str, Array]:
    """Random ids and masks of random lengths; the first text is masked throughout, and one token inside all others."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, shape[-1] + 1, shape[:-1])
    lengths.reshape(-1)[0] = 0
    mask = (np.arange(shape[-1]) < lengths[..., None]).astype(np.int64)
    if shape[-1] > 4:
        mask[..., 2] = 0
    return {"input_ids": random.integers(0, CONFIG.vocab_size, shape), "attention_mask": mask}


def unmasked(shape: Sequence[int], seed: int = 0) -> dict[str, Array]:
    """As `ragged`, with nothing masked."""
    return ragged(shape, seed) | {"attention_mask": np.ones(shape, dtype=np.int64)}


def calibration(head: str = "sequence_classification", batches: int = 8) -> Calibration:
    """`batches` batches of several shapes."""

    def again() -> Iterator[Feeds]:
        return (feeds(head, 2 + number % 3, 5 + 3 * number, seed=number) for number in range(batches))

    return again


_NO_ENTRIES: Mapping[str, str] = MappingProxyType({})


def session(
    graph: Graph, *, optimized: bool = True, entries: Mapping[str, str] = _NO_ENTRIES
) -> onnxruntime.InferenceSession:
    """`graph` in ONNX Runtime, which checks types and shapes; as it is written where it is not `optimized`.

    `entries` are settings of the session, as `Plan.session` has them.
    """
    options = onnxruntime.SessionOptions()
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    # One thread: a pool would spin on while other tests run
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = onnx_ir.to_proto(graph).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answer(
    graph: Graph,
    inputs: Mapping[str, Array],
    *,
    optimized: bool = True,
    entries: Mapping[str, str] = _NO_ENTRIES,
) -> list[npt.NDArray[np.float32]]:
    """The outputs of `graph`."""
    outputs: list[npt.NDArray[np.float32]] = session(graph, optimized=optimized, entries=entries).run(
        None, dict(inputs)
    )
    return outputs


def what_is_read(output: npt.NDArray[np.float32], mask: Array) -> npt.NDArray[np.float32]:
    """Of an output with numbers for each token, those of tokens that `mask` keeps; any other output as a whole."""
    return output[mask != 0] if output.shape[: mask.ndim] == mask.shape else output


def relative_error(observed: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Root mean square of the difference over that of `expected`."""
    return float(np.sqrt(np.square(observed - expected).mean() / np.square(expected).mean()))
