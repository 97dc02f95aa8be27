"""Opening a release: its arguments, the session, and what cannot be had, which is an error and never replaced."""

import logging
import pickle
import shutil
from pathlib import Path

import distilforge
import numpy as np
import onnxruntime
import pytest
from distilforge import InputError, QuestionAnswering, ReleaseError, SequenceClassification, UnavailableError

from tests.benchmark_results import FP32
from tests.runtime_release import LABELS, published, read_manifest, record_again


@pytest.fixture(scope="module")
def shared() -> Path:
    return published("sequence_classification", LABELS["sequence_classification"]).release


def test_the_session_describes_itself(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="distilforge"):
        session = distilforge.open(str(shared))
    assert isinstance(session, SequenceClassification)
    assert (session.head, session.labels) == ("sequence_classification", LABELS["sequence_classification"])
    assert session.variant.name == FP32
    assert session.manifest == read_manifest(shared)
    assert session.providers == ("CPUExecutionProvider",)
    assert session.max_tokens == 64
    assert f"chose {FP32}, the only one that can run here" in caplog.text


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


def test_a_variant_that_is_not_a_string(shared: Path) -> None:
    with pytest.raises(InputError, match="variant must be a string such as 'onnxruntime-cpu:int8', found 5"):
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


def test_feeds_that_are_not_a_mapping(shared: Path) -> None:
    with pytest.raises(InputError, match="feeds must be a dict of arrays by name, found list"):
        distilforge.open(shared).run([1])  # type: ignore[arg-type]


def test_threads_reach_the_engine(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[tuple[int, int]] = []
    real = onnxruntime.InferenceSession

    def record(
        path: Path, options: onnxruntime.SessionOptions, providers: list[str]
    ) -> onnxruntime.InferenceSession:
        counts.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return real(path, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    distilforge.open(shared, threads=1)
    assert counts == [(1, 1)]


def test_the_head_that_is_expected(shared: Path) -> None:
    assert distilforge.open(shared, head=SequenceClassification).labels == LABELS["sequence_classification"]
    with pytest.raises(ReleaseError, match=r"its session is SequenceClassification, not QuestionAnswering"):
        distilforge.open(shared, head=QuestionAnswering)


def test_a_release_opened_survives_a_new_latest(release: Path) -> None:
    (release.parent / "latest").symlink_to(release.name)
    session = distilforge.open(release.parent, head=SequenceClassification)
    (release.parent / "latest").unlink()
    assert session("good movie").label in session.labels


@pytest.mark.parametrize("content", [b"{", b"{}", b"\xff", b'{"vocab_size": "many"}'])
def test_a_config_that_does_not_have_the_vocabulary(release: Path, content: bytes) -> None:
    (release / "config.json").write_bytes(content)
    record_again(release)
    with pytest.raises(ReleaseError, match=r"config\.json"):
        distilforge.open(release)


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


def test_a_session_is_pickled_by_its_opening(shared: Path) -> None:
    session = distilforge.open(shared, head=SequenceClassification, threads=1)
    again = pickle.loads(pickle.dumps(session))
    assert type(again) is SequenceClassification
    assert again.variant == session.variant
    assert again(["good movie"]) == session(["good movie"])


def test_a_pickled_session_whose_release_is_gone(shared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared, tmp_path / "release"))
    pickled = pickle.dumps(distilforge.open(folder))
    shutil.rmtree(folder)
    with pytest.raises(ReleaseError, match="no release at"):
        pickle.loads(pickled)
