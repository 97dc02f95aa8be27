"""The graph of a sentence-transformers model in every precision: the plans match, and both outputs stay near."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model_src.heads.features import Features
from model_src.initialize import initialize
from model_src.sentence.modules import (
    POOLING_MODES,
    Dense,
    LayerNorm,
    Normalize,
    Pooling,
    SentenceModules,
)
from pipeline import targets
from pipeline.graph.file import Graph
from pipeline.recipe.plan import preset
from pipeline.stages.transform import transform
from tests import exports
from tests.graphs import CONFIG, LAYERS, answer, axes, calibration, feeds, relative_error, what_is_read

HEAD = "features"
CPU = "onnxruntime-cpu"
# Root mean square of the difference over that of the outputs, as for the other heads
NEAR = {"fp32": 1e-5, "int8": 0.1, "int8_7bit": 0.2, "fp16": 0.01}


def exported(*modes: str) -> Graph:
    """The graph of a random encoder with the pooling `modes`, layer norm, a dense layer and normalization, cut."""
    norm = LayerNorm(features=CONFIG.dim * len(modes), weights=Path("weights"))
    dense = Dense(
        in_features=CONFIG.dim * len(modes),
        out_features=16,
        bias=True,
        activation="tanh",
        weights=Path("weights"),
    )
    modules = SentenceModules(
        modules=(Pooling(modes=modes), norm, dense, Normalize()),
        layer_names=("2", "3", "4"),
        max_seq_length=None,
        do_lower_case=False,
        files=(),
        copies={},
        types=(),
        truncate_dim=12,
    )
    torch.manual_seed(3)
    model = Features(CONFIG, "eager", modules).eval()
    initialize(model, CONFIG)
    return exports.export(model, axes(HEAD))


@pytest.mark.parametrize("precision", ["fp32", "int8", "int8_7bit"])
def test_the_plans_of_the_cpu(precision: str, tmp_path: Path) -> None:
    graph, inputs = exported(*POOLING_MODES), feeds(HEAD, 3, 9, seed=50)
    expected = answer(graph, inputs)
    plan = preset(CPU, precision, HEAD)
    transformed = transform(graph, plan, calibration(HEAD))
    attentions = [record for record in transformed.passes if record.name.startswith("attention")]
    assert all(record.rewrites >= LAYERS for record in attentions)
    targets.compile_graph(targets.find(CPU, precision), graph, precision, tmp_path)
    for output, wanted in zip(answer(graph, inputs, entries=plan.session), expected, strict=True):
        assert np.isfinite(output).all()
        read, wanted_there = (what_is_read(array, inputs["attention_mask"]) for array in (output, wanted))
        assert relative_error(read, wanted_there) < NEAR[precision]


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize(("target", "precision"), [("tensorrt-rtx", "fp16"), ("tensorrt-rtx", "int8")])
def test_the_plans_of_engines(mode: str, target: str, precision: str) -> None:
    graph, inputs = exported(mode), feeds(HEAD, 3, 9, seed=50)
    expected = answer(graph, inputs)
    transform(graph, preset(target, precision, HEAD), calibration(HEAD))
    for output, wanted in zip(answer(graph, inputs), expected, strict=True):
        assert relative_error(output, wanted) < NEAR[precision]
