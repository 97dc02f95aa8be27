"""What this machine cannot run, or the release does not have, is passed over with a reason or refused by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from distilforge import InputError, ReleaseError, UnavailableError, machine
from distilforge.backends import backends
from distilforge.backends.onnxruntime_cpu import OnnxRuntimeCpu
from distilforge.engine import Engine
from distilforge.manifest import Manifest, Variant, Verdict, Withheld
from distilforge.opening.selection import select_variant

from tests.benchmark_results import FP32, INT8
from tests.runtime_release import GRAPH, published, read_manifest

ACCELERATOR = "accelerator:fp16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A backend for an accelerator, which this machine has if there is no `reason`."""

    preference: int = 200
    reason: str | None = "no such device"

    def obstacle(self, variant: Variant) -> str | None:
        return self.reason

    def prepare(self) -> None:
        OnnxRuntimeCpu().prepare()

    def load(
        self,
        variant: Variant,
        folder: Path,
        *,
        manifest: Manifest | None,
        providers: Sequence[str] | None,
        threads: int | None,
    ) -> Engine:
        return OnnxRuntimeCpu().load(variant, folder, manifest=manifest, providers=providers, threads=threads)


@pytest.fixture
def manifest() -> Manifest:
    """A release with one variant, onnxruntime-cpu:fp32."""
    return read_manifest(published("sequence_classification").release)


@pytest.fixture
def with_accelerator(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The release with a variant for an accelerator, which this machine does not have."""
    monkeypatch.setitem(backends._entries, "accelerator", Accelerator())
    variant = Variant(target="accelerator", precision="fp16", files=(GRAPH,), validated=True)
    return replace(manifest, variants=(*manifest.variants, variant))


def needing(manifest: Manifest, precision: str, *needs: str) -> Variant:
    return replace(manifest.variants[0], precision=precision, needs=needs)


def name_and_reason(manifest: Manifest, name: str | None = None, **allow: bool) -> tuple[str, str]:
    selection = select_variant(
        manifest, name, allow_unvalidated=allow.get("allow_unvalidated", False), threads=None
    )
    return selection.variant.name, selection.reason


def test_a_variant_by_name(manifest: Manifest) -> None:
    assert name_and_reason(manifest, FP32) == (FP32, f"{FP32} was asked for")


def test_an_unknown_variant(manifest: Manifest) -> None:
    with pytest.raises(InputError, match=f"has no variant 'onnxruntime-cpu:fp31'\n.*did you mean '{FP32}'"):
        name_and_reason(manifest, "onnxruntime-cpu:fp31")


def test_a_withheld_variant(manifest: Manifest) -> None:
    withheld = Withheld(name=INT8, reason="not shown to be faster than fp32")
    with pytest.raises(
        InputError, match=rf"published without '{INT8}': not shown to be faster.*\n  hint: .*{FP32}"
    ):
        name_and_reason(replace(manifest, withheld=(withheld,)), INT8)


def test_the_preferred_backend(with_accelerator: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backends._entries, "accelerator", Accelerator(reason=None))
    assert name_and_reason(with_accelerator) == (ACCELERATOR, f"chose {ACCELERATOR} over {FP32}")


def test_a_variant_that_cannot_run_is_passed_over(with_accelerator: Manifest) -> None:
    name, reason = name_and_reason(with_accelerator)
    assert name == FP32
    assert reason.endswith(f"; {ACCELERATOR} cannot run here: no such device")
    with pytest.raises(
        UnavailableError,
        match=rf"'{ACCELERATOR}' cannot run on this machine: no such device\n  hint: .*variant='{FP32}'",
    ):
        name_and_reason(with_accelerator, ACCELERATOR)


def test_a_target_without_a_backend(manifest: Manifest) -> None:
    unknown = replace(manifest.variants[0], target="onnxruntime-cpux")
    with pytest.raises(
        UnavailableError, match=r"no backend for 'onnxruntime-cpux'.*did you mean 'onnxruntime-cpu'"
    ):
        name_and_reason(replace(manifest, variants=(unknown,)))


def test_a_validated_variant_goes_before_the_preferred_backend(
    with_accelerator: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(backends._entries, "accelerator", Accelerator(reason=None))
    fp32, accelerated = with_accelerator.variants
    manifest = replace(with_accelerator, variants=(fp32, replace(accelerated, validated=False)))
    assert name_and_reason(manifest)[0] == FP32
    assert name_and_reason(manifest, allow_unvalidated=True)[0] == FP32
    with pytest.raises(
        ReleaseError, match=rf"'{ACCELERATOR}' did not pass validation: it was never validated"
    ):
        name_and_reason(manifest, ACCELERATOR)


@pytest.mark.parametrize("name", [None, FP32])
def test_an_unvalidated_variant_is_refused_with_the_numbers(manifest: Manifest, name: str | None) -> None:
    verdicts = (
        Verdict(
            check="largest error", observed=0.5, comparison="at most", limit=1e-4, unit="logits", reason="r"
        ),
        Verdict(
            check="accuracy loss", observed=0.0, comparison="at most", limit=0.01, unit="points", reason="r"
        ),
    )
    variant = replace(manifest.variants[0], validated=False, verdicts=verdicts)
    unvalidated = replace(manifest, variants=(variant,))
    expected = f"'{FP32}' did not pass validation: largest error: observed 0.5 logits, limit at most 0.0001\n"
    with pytest.raises(ReleaseError, match=re.escape(expected)) as raised:
        name_and_reason(unvalidated, name)
    assert "accuracy loss" not in str(raised.value)
    assert "allow_unvalidated=True" in raised.value.hint
    assert name_and_reason(unvalidated, name, allow_unvalidated=True)[0] == FP32


@pytest.fixture
def saturating(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """A release whose int8 variant this machine does not compute exactly."""
    monkeypatch.setitem(machine.needs._entries, "exact-int8", lambda: "sums are cut off")
    return replace(manifest, variants=(needing(manifest, "int8", "exact-int8"), *manifest.variants))


def test_a_variant_that_needs_more_than_the_machine_has_is_passed_over(saturating: Manifest) -> None:
    name, reason = name_and_reason(saturating)
    assert name == FP32
    assert f"{INT8} cannot run here: it needs 'exact-int8', and sums are cut off" in reason
    with pytest.raises(
        UnavailableError,
        match=rf"{INT8}' cannot run on this machine: it needs 'exact-int8', and sums are cut off\n"
        rf".*pass variant='{FP32}'",
    ):
        name_and_reason(saturating, INT8)


@pytest.mark.parametrize("name", [None, INT8])
def test_no_variant_can_run(manifest: Manifest, name: str | None) -> None:
    made = replace(manifest, variants=(needing(manifest, "int8", "a new instruction"),))
    with pytest.raises(
        UnavailableError, match="needs 'a new instruction', which this distilforge does not"
    ) as raised:
        name_and_reason(made, name)
    assert "build" in raised.value.hint


def test_the_machine_is_asked_only_if_a_variant_needs_something(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str | None:
        raise AssertionError("nobody needs to know")

    monkeypatch.setitem(machine.needs._entries, "exact-int8", refuse)
    assert name_and_reason(manifest)[0] == FP32
