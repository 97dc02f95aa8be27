"""What is refused before any work."""

from dataclasses import replace

import pytest
from distilforge.cuda.driver import Device, survey
from distilforge.manifest import Span

from pipeline.engines.build import check, check_device
from pipeline.engines.flavours import ONNXRUNTIME_RTX, ONNXRUNTIME_TENSORRT, RTX, TENSORRT, Flavour
from pipeline.engines.options import EngineOptions
from pipeline.errors import MissingError, UsageError
from pipeline.store.versions import installed

SPANS = {"batch": Span(low=1, usual=2, high=4), "sequence": Span(low=2, usual=8, high=16)}
no_driver = pytest.mark.skipif(not isinstance(survey(), str), reason="this machine has a CUDA device")


@pytest.mark.parametrize(
    ("flavour", "options", "said"),
    [
        (RTX, {"capabilities": ("9.0",)}, "cannot compile for compute capability 9.0"),
        (RTX, {"hardware_compatibility": "ampere_plus"}, "TensorRT-RTX has no hardware_compatibility"),
        (RTX, {"version_compatible": True}, "TensorRT-RTX has no version_compatible"),
        (RTX, {"optimization_level": 5}, "TensorRT-RTX has no optimization_level"),
        (RTX, {"timing_cache": "kernels.cache"}, "TensorRT-RTX has no timing_cache"),
        (RTX, {"weights_stripped": True}, "for one compute capability, found none"),
        (RTX, {"weights_stripped": True, "capabilities": ("8.6", "8.9")}, "found 8.6, 8.9"),
        (TENSORRT, {"capabilities": ("8.6",)}, "TensorRT has no capabilities"),
        (RTX, {"buckets": (32,)}, "bucket 32 lies outside"),
        (ONNXRUNTIME_RTX, {"buckets": (8,)}, "NvTensorRTRTXExecutionProvider has no buckets"),
        (
            ONNXRUNTIME_RTX,
            {"weights_stripped": True},
            "NvTensorRTRTXExecutionProvider has no weights_stripped",
        ),
        (ONNXRUNTIME_RTX, {"capabilities": ("8.0",)}, "cannot run on compute capability 8.0"),
        (ONNXRUNTIME_RTX, {"optimization_level": 5}, "has no optimization_level"),
        (ONNXRUNTIME_TENSORRT, {"buckets": (8,)}, "TensorrtExecutionProvider has no buckets"),
        (
            ONNXRUNTIME_TENSORRT,
            {"version_compatible": True},
            "TensorrtExecutionProvider has no version_compat",
        ),
        (ONNXRUNTIME_TENSORRT, {"capabilities": ("8.6",)}, "has no capabilities"),
        (RTX.narrowed("fp8"), {"capabilities": ("8.9", "8.6")}, "compute capability 8.6 in fp8"),
        (
            replace(TENSORRT, package=RTX.package).narrowed("fp8"),
            {"hardware_compatibility": "ampere_plus"},
            "fp8 needs compute capability 8.9 or later, and hardware_compatibility is 'ampere_plus'",
        ),
    ],
)
def test_options_that_a_flavour_or_the_spans_do_not_allow(
    flavour: Flavour, options: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check(flavour, EngineOptions(**options), SPANS)  # type: ignore[arg-type]
    assert said in caught.value.message
    assert caught.value.hint


def test_a_flavour_is_narrowed_to_the_capabilities_that_have_a_precision() -> None:
    assert RTX.narrowed("int8") is RTX
    assert RTX.narrowed("fp8").capabilities == ("8.9", "12.0", "12.1")
    assert RTX.narrowed("fp8").unnamed == ("8.9", "12.0+")
    check(RTX.narrowed("fp8"), EngineOptions(capabilities=("8.9", "12.0")), SPANS)


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
    with pytest.raises(MissingError, match=r"weights_stripped is built only where a device is: .*libcuda"):
        check(RTX, EngineOptions(weights_stripped=True, capabilities=("8.6",)), SPANS)


@no_driver
@pytest.mark.parametrize("flavour", [TENSORRT, ONNXRUNTIME_TENSORRT], ids=lambda flavour: flavour.target)
def test_engines_for_the_device_at_hand_are_refused_without_one(flavour: Flavour) -> None:
    # With the package of a toolkit that is here, so that the device is what is missing
    with pytest.raises(MissingError, match=r"TensorRT builds only where a device is: .*libcuda"):
        check(replace(flavour, package=RTX.package), EngineOptions(), SPANS)


@pytest.mark.skipif(installed("tensorrt") is not None, reason="TensorRT is installed")
def test_a_toolkit_that_is_absent_comes_with_an_instruction() -> None:
    with pytest.raises(MissingError, match="needs the package tensorrt") as caught:
        check(TENSORRT, EngineOptions(), SPANS)
    assert caught.value.hint == "pip install 'distilforge-pipeline[tensorrt]'"


def test_the_capabilities_that_can_be_named_are_the_toolkits() -> None:
    tensorrt_rtx = pytest.importorskip("tensorrt_rtx")
    known = set(tensorrt_rtx.ComputeCapability.__members__) - {"NONE", "CURRENT"}
    assert {f"SM{capability.replace('.', '')}" for capability in RTX.capabilities} == known
