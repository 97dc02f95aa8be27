"""A graph that another exporter wrote stops the build with the name of the pass that no longer matches."""

import pytest

from pipeline.errors import ContractError
from pipeline.passes import base, registry
from tests.graphs import torchscript


@pytest.mark.parametrize(
    "name", ["attention_mha", "attention_mha_flash", "attention_onnx", "embeddings", "packed_qkv"]
)
def test_torchscript_graphs_stop_it_by_name(name: str) -> None:
    with pytest.raises(
        ContractError, match=rf"{name} matched \d times, must match at least \d times"
    ) as caught:
        base.apply(torchscript(), [registry.find(name)])
    assert caught.value.name == name
