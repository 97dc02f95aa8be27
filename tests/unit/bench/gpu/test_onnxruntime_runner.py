"""How ONNX Runtime's CUDA provider is set up for a benchmark."""

from distilforge.manifest import Variant

from bench.gpu.onnxruntime_runner import provider_options

VARIANT = Variant(
    target="onnxruntime-cuda",
    precision="fp16",
    files=("onnx/model_fp16.onnx",),
    session={"provider.enable_cuda_graph": "1", "provider.enable_skip_layer_norm_strict_mode": "1"},
)


def test_the_validated_options_are_kept_and_graphs_are_captured_where_asked() -> None:
    without = {"enable_skip_layer_norm_strict_mode": "1", "device_id": "0"}
    assert provider_options(VARIANT, graphs=False) == {**without, "enable_cuda_graph": "0"}
    assert provider_options(VARIANT, graphs=True) == {**without, "enable_cuda_graph": "1"}
