"""Attention without padding (AttentionIOForm.PACKED_NHD), which TensorRT-RTX 1.7.1 has in its interface."""

from collections.abc import Sequence

import pytest

tensorrt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no wheel for this machine")

HEADS, WIDTH = 12, 64
REFUSAL = (
    "uses packed (NHD) inputs described by cu_seqlens, for which no fused kernel is available on this target"
)


class Log(tensorrt.ILogger):  # type: ignore[misc]
    """Keeps the errors."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def log(self, severity: object, message: str) -> None:
        if severity == tensorrt.ILogger.ERROR:
            self.errors.append(message)


def build(*, packed: bool, capabilities: Sequence[object] = ()) -> tuple[bool, list[str]]:
    """Whether an engine of one attention builds, and the errors."""
    log = Log()
    builder = tensorrt.Builder(log)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    shape = (-1, HEADS, WIDTH) if packed else (-1, HEADS, -1, WIDTH)
    inputs = [network.add_input(name, tensorrt.float16, shape) for name in "qkv"]
    for value in inputs:
        sizes = [(tokens, HEADS, WIDTH) if packed else (8, HEADS, tokens, WIDTH) for tokens in (1, 128, 512)]
        profile.set_shape(value.name, *sizes)
    attention = network.add_attention_v2(
        *inputs, tensorrt.AttentionNormalizationOp.SOFTMAX, tensorrt.CausalMaskKind.NONE
    )
    if packed:
        lengths = network.add_input("lengths", tensorrt.int32, (-1,))
        profile.set_shape("lengths", (2,), (9,), (33,))
        attention.query_form = attention.key_value_form = tensorrt.AttentionIOForm.PACKED_NHD
        attention.query_lengths = attention.key_value_lengths = lengths
    network.mark_output(attention.get_output(0))
    config.add_optimization_profile(profile)
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        config.set_compute_capability(capability, index)
    return builder.build_serialized_network(network, config) is not None, log.errors


def test_padded_attention_has_a_kernel() -> None:
    assert build(packed=False) == (True, [])


@pytest.mark.parametrize("name", [None, "SM75", "SM80", "SM86", "SM89", "SM120", "SM121"])
def test_packed_attention_has_none_yet(name: str | None) -> None:
    """When a later version builds it, this test fails, and a variant without padding can be offered."""
    capabilities = [] if name is None else [getattr(tensorrt.ComputeCapability, name)]
    built, errors = build(packed=True, capabilities=capabilities)
    assert not built, f"TensorRT-RTX {tensorrt.__version__} builds packed attention: offer it"
    assert any(REFUSAL in error for error in errors), errors
