"""Which variant is chosen and why; what cannot be had is an error, never something else in silence."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import distilforge
import numpy as np
import onnxruntime
import pytest
from distilforge import InputError, QuestionAnswering, ReleaseError, SequenceClassification, UnavailableError
from distilforge.backends import Engine, backends
from distilforge.backends.onnxruntime_cpu import OnnxRuntimeCpu
from distilforge.manifest import Variant, Verdict, Withheld

from tests.runtime_release import GRAPH, LABELS, copied, published, read_manifest, write_manifest

FP32 = "onnxruntime-cpu:fp32"


@pytest.fixture(scope="module")
def shared() -> Path:
    return published("sequence_classification", LABELS["sequence_classification"]).release


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return copied("sequence_classification", tmp_path / "release")


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A backend for another machine, or a better one for this."""

    preference: int = 200
    reason: str | None = "no such device"

    def obstacle(self, variant: Variant) -> str | None:
        return self.reason

    def prepare(self) -> None:
        OnnxRuntimeCpu().prepare()

    def load(
        self, variant: Variant, folder: Path, *, providers: Sequence[str] | None, threads: int | None
    ) -> Engine:
        return OnnxRuntimeCpu().load(variant, folder, providers=providers, threads=threads)


def add_variant(release: Path, monkeypatch: pytest.MonkeyPatch, backend: Elsewhere, **changes: bool) -> None:
    monkeypatch.setitem(backends._entries, "accelerator", backend)
    manifest = read_manifest(release)
    added = Variant(
        target="accelerator", precision="fp16", files=(GRAPH,), validated=changes.get("validated", True)
    )
    write_manifest(release, replace(manifest, variants=(*manifest.variants, added)))


def unvalidated(release: Path) -> None:
    manifest = read_manifest(release)
    verdicts = (
        Verdict(
            check="largest error", observed=0.5, comparison="at most", limit=1e-4, unit="logits", reason="r"
        ),
        Verdict(
            check="accuracy loss", observed=0.0, comparison="at most", limit=0.01, unit="points", reason="r"
        ),
    )
    variant = replace(manifest.variants[0], validated=False, verdicts=verdicts)
    write_manifest(release, replace(manifest, variants=(variant,)))


def test_the_session_describes_itself(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="distilforge"):
        session = distilforge.open(str(shared))
    assert isinstance(session, SequenceClassification)
    assert (session.head, session.labels) == ("sequence_classification", LABELS["sequence_classification"])
    assert session.variant.name == FP32
    assert session.manifest == read_manifest(shared)
    assert session.providers == ("CPUExecutionProvider",)
    assert session.max_tokens == 64
    assert f"chose {FP32}, the one that can run here" in caplog.text


def test_variant_by_name(shared: Path) -> None:
    assert distilforge.open(shared, variant=FP32).variant.name == FP32


def test_unknown_variant(shared: Path) -> None:
    with pytest.raises(InputError, match=f"has no variant 'onnxruntime-cpu:fp31'\n.*did you mean '{FP32}'"):
        distilforge.open(shared, variant="onnxruntime-cpu:fp31")


def test_a_withheld_variant_is_asked_for(release: Path) -> None:
    withheld = Withheld(name="onnxruntime-cpu:int8", reason="not shown to be faster than fp32")
    write_manifest(release, replace(read_manifest(release), withheld=(withheld,)))
    with pytest.raises(InputError, match="published without 'onnxruntime-cpu:int8': not shown to be faster"):
        distilforge.open(release, variant="onnxruntime-cpu:int8")


def test_the_preferred_backend_is_chosen(
    release: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_variant(release, monkeypatch, Elsewhere(reason=None))
    with caplog.at_level(logging.INFO, logger="distilforge"):
        assert distilforge.open(release).variant.name == "accelerator:fp16"
    assert f"chose accelerator:fp16 before {FP32}" in caplog.text


def test_a_backend_that_cannot_run_is_passed_over(
    release: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_variant(release, monkeypatch, Elsewhere())
    with caplog.at_level(logging.INFO, logger="distilforge"):
        assert distilforge.open(release).variant.name == FP32
    assert "accelerator:fp16 cannot run here: no such device" in caplog.text
    with pytest.raises(
        UnavailableError, match="'accelerator:fp16' cannot run on this machine: no such device"
    ):
        distilforge.open(release, variant="accelerator:fp16")


def test_what_was_validated_is_preferred(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_variant(release, monkeypatch, Elsewhere(reason=None), validated=False)
    assert distilforge.open(release).variant.name == FP32
    assert distilforge.open(release, allow_unvalidated=True).variant.name == FP32
    with pytest.raises(
        ReleaseError, match=r"'accelerator:fp16' did not pass validation: it was never validated"
    ):
        distilforge.open(release, variant="accelerator:fp16")


def test_no_variant_can_run(release: Path) -> None:
    manifest = read_manifest(release)
    write_manifest(
        release, replace(manifest, variants=(replace(manifest.variants[0], target="onnxruntime-cpux"),))
    )
    with pytest.raises(
        UnavailableError, match=r"no backend for 'onnxruntime-cpux'.*did you mean 'onnxruntime-cpu'"
    ):
        distilforge.open(release)


def test_unvalidated_is_refused_with_the_numbers(release: Path) -> None:
    unvalidated(release)
    expected = f"'{FP32}' did not pass validation: largest error: observed 0.5 logits, limit at most 0.0001\n"
    for variant in (None, FP32):
        with pytest.raises(ReleaseError, match=re.escape(expected)) as raised:
            distilforge.open(release, variant=variant)
        assert "accuracy loss" not in str(raised.value)
    assert not distilforge.open(release, allow_unvalidated=True).variant.validated


def test_provider_that_is_not_installed(shared: Path) -> None:
    with pytest.raises(UnavailableError, match=r"'CUDAExecutionProvidr' is not in the installed onnxruntime"):
        distilforge.open(shared, providers=["CUDAExecutionProvidr", "CPUExecutionProvider"])


def test_provider_that_does_not_start(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime drops a provider that does not start and goes on with the CPU's."""
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(UnavailableError, match="instead"),
    ):
        distilforge.open(shared, providers=["CUDAExecutionProvider"])


def test_a_variant_that_is_no_text(shared: Path) -> None:
    with pytest.raises(InputError, match="variant must be a text such as 'onnxruntime-cpu:int8', found 5"):
        distilforge.open(shared, variant=5)  # type: ignore[call-overload]


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_bad_threads(shared: Path, threads: int) -> None:
    with pytest.raises(InputError, match="threads must be a whole number of at least 1"):
        distilforge.open(shared, threads=threads)


def test_too_many_threads(shared: Path) -> None:
    with pytest.raises(InputError, match="threads must be at most 1024, found 100000"):
        distilforge.open(shared, threads=100_000)


@pytest.mark.parametrize("providers", ["CPUExecutionProvider", [], [1]])
def test_bad_providers(shared: Path, providers: list[str]) -> None:
    with pytest.raises(InputError, match="providers must be a list of names"):
        distilforge.open(shared, providers=providers)


@pytest.mark.parametrize("head", ["sequence_classification", dict])
def test_bad_head(shared: Path, head: type[distilforge.Session]) -> None:
    with pytest.raises(InputError, match="head must be a session class"):
        distilforge.open(shared, head=head)


def test_feeds_that_are_no_mapping(shared: Path) -> None:
    with pytest.raises(InputError, match="feeds must be arrays by name, found list"):
        distilforge.open(shared).run([1])  # type: ignore[arg-type]


def test_threads_reach_the_engine(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    real = onnxruntime.InferenceSession

    def record(
        path: Path, options: onnxruntime.SessionOptions, providers: list[str]
    ) -> onnxruntime.InferenceSession:
        seen.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return real(path, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    distilforge.open(shared, threads=1)
    assert seen == [(1, 1)]


def test_the_head_that_is_expected(shared: Path) -> None:
    assert distilforge.open(shared, head=SequenceClassification).labels == LABELS["sequence_classification"]
    with pytest.raises(ReleaseError, match=r"its session is SequenceClassification, not QuestionAnswering"):
        distilforge.open(shared, head=QuestionAnswering)


def test_a_release_opened_survives_a_new_latest(release: Path) -> None:
    (release.parent / "latest").symlink_to(release.name)
    session = distilforge.open(release.parent, head=SequenceClassification)
    (release.parent / "latest").unlink()
    assert session("good movie").label in session.labels


def test_run_gives_every_output(shared: Path) -> None:
    session = distilforge.open(shared)
    feeds = session.encode(["good movie", ("a", "bad film")])
    outputs = session.run(feeds)
    assert {name: array.shape for name, array in outputs.items()} == {"logits": (2, 3)}
    alone = session.run({name: array[:1, :4] for name, array in feeds.items()})
    np.testing.assert_allclose(alone["logits"], outputs["logits"][:1], atol=1e-5)


def test_run_refuses_what_the_graph_cannot_take(shared: Path) -> None:
    session = distilforge.open(shared)
    ids = np.full((1, 4), 10_000)
    with pytest.raises(InputError, match="'input_ids' holds 10000; it must be between 0 and"):
        session.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    many = np.ones((9, 4), dtype=np.int64)
    with pytest.raises(InputError, match=r"the axis 'batch'.*has size 9; this release takes 1 to 8"):
        session.run({"input_ids": many, "attention_mask": many})
