"""Which variant a package holds, and why."""

from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest, Variant

from pipeline.errors import UsageError
from pipeline.packages.assembly.selection import select
from pipeline.packages.base import PackageContents, PackageKind, PackageRequest
from tests.runtime_release import PASSED, PROVENANCE


def write(request: PackageRequest, folder: Path) -> PackageContents:
    raise AssertionError(f"selecting a variant writes nothing to {folder} for {request}")


def kind(*holds: str) -> PackageKind:
    return PackageKind(name="server", help="For a test.", holds=holds, write=write)


def variant(name: str, *, validated: bool = True) -> Variant:
    target, precision = name.split(":")
    return Variant(
        target=target, precision=precision, files=("model.onnx",), validated=validated, verdicts=PASSED
    )


def manifest(*variants: Variant) -> Manifest:
    return Manifest(
        name="reviews",
        version="0123456789ab",
        head="features",
        labels=(),
        problem_type=None,
        inputs=(),
        outputs=(),
        spans={},
        variants=variants,
        files={},
        provenance=PROVENANCE,
    )


CPU = manifest(variant("onnxruntime-cpu:fp32"), variant("onnxruntime-cpu:int8"), variant("openvino:fp32"))


def test_the_first_pattern_goes_before_the_order_of_the_manifest() -> None:
    chosen, reason = select(CPU, kind("openvino:*", "onnxruntime-cpu:fp32"), None)
    assert chosen.name == "openvino:fp32"
    assert "openvino:*" in reason


def test_a_second_pattern_is_used_where_nothing_fits_the_first() -> None:
    assert select(CPU, kind("tensorrt:*", "*:int8"), None)[0].name == "onnxruntime-cpu:int8"


def test_the_reason_names_what_was_not_taken() -> None:
    chosen, reason = select(CPU, kind("onnxruntime-cpu:*"), None)
    assert chosen.name == "onnxruntime-cpu:fp32"
    assert "onnxruntime-cpu:int8" in reason
    assert "timed" in reason


def test_what_did_not_pass_validation_is_not_taken() -> None:
    release = manifest(variant("onnxruntime-cpu:fp32", validated=False), variant("onnxruntime-cpu:int8"))
    assert select(release, kind("onnxruntime-cpu:*"), None)[0].precision == "int8"
    with pytest.raises(ReleaseError, match=r"onnxruntime-cpu:fp32.*did not pass validation"):
        select(release, kind("*"), "onnxruntime-cpu:fp32")
    with pytest.raises(ReleaseError, match="did not pass validation"):
        select(replace(release, variants=release.variants[:1]), kind("*"), None)


def test_a_release_without_a_fitting_variant_is_refused() -> None:
    with pytest.raises(UsageError, match=r"it has onnxruntime-cpu:fp32.*tensorrt:\*") as refused:
        select(CPU, kind("tensorrt:*"), None)
    assert "--variant tensorrt:fp32" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "message"), [("onnxruntime-cpu:fp8", "does not have"), ("openvino:fp32", "cannot hold")]
)
def test_a_named_variant_must_be_there_and_fit(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"{message}.*{name}"):
        select(CPU, kind("onnxruntime-cpu:*"), name)


def test_a_named_variant_is_taken_because_it_was_asked_for() -> None:
    assert select(CPU, kind("*"), "openvino:fp32") == (CPU.variants[2], "it was asked for")
