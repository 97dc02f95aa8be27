"""Attention whose normalization is quantized, which TensorRT-RTX 1.7.1 has in its interface and has no kernel for."""

import numpy as np
import pytest

tensorrt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no wheel for this machine")

HEADS, WIDTH = 12, 64
REFUSAL = "Attention operation was not supported by a dedicated kernel"
# Softmax is at most 1, and 448 is the largest e4m3 number
SCALES = {"input": 0.02, "normalization": 1 / 448}


class Log(tensorrt.ILogger):  # type: ignore[misc]
    """Keeps the errors."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def log(self, severity: object, message: str) -> None:
        if severity == tensorrt.ILogger.ERROR:
            self.errors.append(message)


def build(capability: object, *, normalization: bool) -> tuple[bool, list[str]]:
    """Whether one attention on queries, keys and values in fp8 builds as one kernel, and the errors."""
    log = Log()
    builder = tensorrt.Builder(log)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    # TensorRT reads them while it builds
    arrays = {name: np.array(scale, np.float16) for name, scale in SCALES.items()}
    scales = {
        name: network.add_constant((), tensorrt.Weights(array)).get_output(0)
        for name, array in arrays.items()
    }
    quantized = []
    for name in "qkv":
        value = network.add_input(name, tensorrt.float16, (-1, HEADS, -1, WIDTH))
        profile.set_shape(name, *((8, HEADS, tokens, WIDTH) for tokens in (1, 128, 512)))
        stored = network.add_quantize(value, scales["input"], tensorrt.fp8).get_output(0)
        read = network.add_dequantize(stored, scales["input"], tensorrt.float16)
        quantized.append(read.get_output(0))
    attention = network.add_attention_v2(
        *quantized, tensorrt.AttentionNormalizationOp.SOFTMAX, tensorrt.CausalMaskKind.NONE
    )
    if normalization:
        attention.normalization_quantize_scale = scales["normalization"]
        attention.normalization_quantize_to_type = tensorrt.fp8
    network.mark_output(attention.get_output(0))
    config.add_optimization_profile(profile)
    config.num_compute_capabilities = 1
    config.set_compute_capability(capability, 0)
    return builder.build_serialized_network(network, config) is not None, log.errors


def test_attention_on_dequantized_inputs_has_a_kernel() -> None:
    assert build(tensorrt.ComputeCapability.SM89, normalization=False) == (True, [])


@pytest.mark.parametrize("name", ["SM89", "SM120", "SM121"])
def test_a_quantized_normalization_has_none_yet(name: str) -> None:
    """When a later version builds it, this test fails, and the plans for fp8 can quantize attention."""
    built, errors = build(getattr(tensorrt.ComputeCapability, name), normalization=True)
    assert not built, f"TensorRT-RTX {tensorrt.__version__} builds it: offer it in the plans for fp8"
    assert any(REFUSAL in error for error in errors), errors
