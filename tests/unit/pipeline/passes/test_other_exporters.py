"""A graph that another exporter wrote stops the build with the name of the fusion that no longer matches."""

import io
import warnings

import onnx
import onnx_ir
import pytest
import torch
from onnx_ir.passes.common import ShapeInferencePass

from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.passes import base, fusions
from tests.unit.pipeline.passes.graphs import make_model


@pytest.fixture(scope="module")
def torchscript() -> graph_file.Graph:
    """The classifier as torch's TorchScript exporter writes it."""
    model = make_model("sequence_classification")
    ids = torch.ones((2, 5), dtype=torch.int64)
    axes = {0: "batch", 1: "sequence"}
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (ids, ids),
            content,
            dynamo=False,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes},
            opset_version=20,
        )
    made = onnx_ir.from_proto(onnx.load_from_string(content.getvalue()))
    ShapeInferencePass()(made)
    return made


@pytest.mark.parametrize(
    "name", ["attention_mha", "attention_mha_flash", "attention_onnx", "embeddings", "packed_qkv"]
)
def test_torchscript_graphs_stop_it_by_name(name: str, torchscript: graph_file.Graph) -> None:
    with pytest.raises(
        ContractError, match=rf"{name} matched \d times, must match at least \d times"
    ) as caught:
        base.apply(torchscript.clone(), [fusions.find(name)])
    assert caught.value.name == name
