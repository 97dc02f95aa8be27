"""The checks before any build."""

from dataclasses import replace

import pytest
from distilforge.cuda.driver import Device, survey
from distilforge.manifest import Span

from pipeline.engines.build import check, check_device
from pipeline.engines.compiler import EngineCompiler
from pipeline.engines.options import EngineOptions
from pipeline.errors import MissingError, UsageError
from pipeline.store.versions import installed
from pipeline.targets.onnxruntime_rtx import ONNXRUNTIME_RTX
from pipeline.targets.onnxruntime_tensorrt import ONNXRUNTIME_TENSORRT
from pipeline.targets.tensorrt import TENSORRT
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX

SPANS = {"batch": Span(low=1, usual=2, high=4), "sequence": Span(low=2, usual=8, high=16)}
no_driver = pytest.mark.skipif(not isinstance(survey(), str), reason="this machine has a CUDA device")


@pytest.mark.parametrize(
    ("compiler", "options", "said"),
    [
        (TENSORRT_RTX, {"capabilities": ("9.0",)}, "cannot compile for compute capability 9.0"),
        (
            TENSORRT_RTX,
            {"hardware_compatibility": "ampere_plus"},
            "does not support hardware_compatibility",
        ),
        (TENSORRT_RTX, {"version_compatible": True}, "TensorRT-RTX does not support version_compatible"),
        (TENSORRT_RTX, {"optimization_level": 5}, "TensorRT-RTX does not support optimization_level"),
        (TENSORRT_RTX, {"timing_cache": "kernels.cache"}, "TensorRT-RTX does not support timing_cache"),
        (TENSORRT_RTX, {"weights_stripped": True}, "for one compute capability, found none"),
        (TENSORRT_RTX, {"weights_stripped": True, "capabilities": ("8.6", "8.9")}, "found 8.6, 8.9"),
        (TENSORRT, {"capabilities": ("8.6",)}, "TensorRT does not support capabilities"),
        (TENSORRT_RTX, {"buckets": (32,)}, "bucket 32 lies outside"),
        (ONNXRUNTIME_RTX, {"buckets": (8,)}, "NvTensorRTRTXExecutionProvider does not support buckets"),
        (
            ONNXRUNTIME_RTX,
            {"weights_stripped": True},
            "NvTensorRTRTXExecutionProvider does not support weights_stripped",
        ),
        (ONNXRUNTIME_RTX, {"capabilities": ("8.0",)}, "cannot run on compute capability 8.0"),
        (ONNXRUNTIME_RTX, {"optimization_level": 5}, "does not support optimization_level"),
        (ONNXRUNTIME_TENSORRT, {"buckets": (8,)}, "TensorrtExecutionProvider does not support buckets"),
        (
            ONNXRUNTIME_TENSORRT,
            {"version_compatible": True},
            "TensorrtExecutionProvider does not support version_compat",
        ),
        (ONNXRUNTIME_TENSORRT, {"capabilities": ("8.6",)}, "does not support capabilities"),
        (TENSORRT_RTX.narrowed("fp8"), {"capabilities": ("8.9", "8.6")}, "compute capability 8.6 in fp8"),
        (
            replace(TENSORRT, package=TENSORRT_RTX.package).narrowed("fp8"),
            {"hardware_compatibility": "ampere_plus"},
            "fp8 needs compute capability 8.9 or later, and hardware_compatibility is 'ampere_plus'",
        ),
    ],
)
def test_options_that_a_compiler_or_the_spans_do_not_allow(
    compiler: EngineCompiler, options: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check(compiler, EngineOptions(**options), SPANS)  # type: ignore[arg-type]
    assert said in caught.value.message
    assert caught.value.hint


def test_a_compiler_is_narrowed_to_the_capabilities_that_have_a_precision() -> None:
    assert TENSORRT_RTX.narrowed("int8") is TENSORRT_RTX
    assert TENSORRT_RTX.narrowed("fp8").capabilities == ("8.9", "12.0", "12.1")
    assert TENSORRT_RTX.narrowed("fp8").default_capabilities == ("8.9", "12.0+")
    check(TENSORRT_RTX.narrowed("fp8"), EngineOptions(capabilities=("8.9", "12.0")), SPANS)


@pytest.mark.parametrize(("capability", "fits"), [((8, 6), False), ((8, 9), True), ((9, 0), True)])
def test_a_device_that_an_engine_is_built_on_must_have_its_precision(
    capability: tuple[int, int], fits: bool
) -> None:
    device = Device(index=0, name="some device", capability=capability)
    check_device(TENSORRT, device)
    if fits:
        check_device(TENSORRT.narrowed("fp8"), device)
    else:
        with pytest.raises(
            MissingError, match=r"fp8 needs compute capability 8\.9 or later; some device has 8\.6"
        ):
            check_device(TENSORRT.narrowed("fp8"), device)


@no_driver
def test_stripping_weights_without_a_driver_is_refused_before_the_build() -> None:
    with pytest.raises(
        MissingError, match=r"weights_stripped is built only on a machine with a device: .*libcuda"
    ):
        check(TENSORRT_RTX, EngineOptions(weights_stripped=True, capabilities=("8.6",)), SPANS)


@no_driver
@pytest.mark.parametrize("compiler", [TENSORRT, ONNXRUNTIME_TENSORRT], ids=lambda compiler: compiler.target)
def test_engines_for_the_device_at_hand_are_refused_without_one(compiler: EngineCompiler) -> None:
    # With a package that is installed, so that only the device is missing
    with pytest.raises(MissingError, match=r"TensorRT builds only on a machine with a device: .*libcuda"):
        check(replace(compiler, package=TENSORRT_RTX.package), EngineOptions(), SPANS)


@pytest.mark.skipif(installed("tensorrt") is not None, reason="TensorRT is installed")
def test_a_toolkit_that_is_absent_comes_with_an_instruction() -> None:
    with pytest.raises(MissingError, match="needs the package tensorrt") as caught:
        check(TENSORRT, EngineOptions(), SPANS)
    assert caught.value.hint == "pip install 'distilforge-pipeline[tensorrt]'"


def test_the_capabilities_that_can_be_named_are_the_toolkits() -> None:
    tensorrt_rtx = pytest.importorskip("tensorrt_rtx")
    known = set(tensorrt_rtx.ComputeCapability.__members__) - {"NONE", "CURRENT"}
    assert {f"SM{capability.replace('.', '')}" for capability in TENSORRT_RTX.capabilities} == known
