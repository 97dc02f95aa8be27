"""Variants for OpenVINO: their answers, their cache of compiled models, and what they refuse."""

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import distilforge
import numpy as np
import pytest
from distilforge import ReleaseError, UnavailableError, machine
from distilforge.backends import backends
from distilforge.machine import lacking, openvino_exact_int8
from distilforge.machine.exact_int8 import extremes
from distilforge.manifest import Manifest
from distilforge.records.processor import Processor, this_processor

from model_src import heads
from tests.runtime_release import GRAPH, LABELS, copied, read_manifest, record_files, write_manifest

pytest.importorskip("openvino")

VARIANT = "openvino:fp32"
F32 = {"INFERENCE_PRECISION_HINT": "f32"}
# ONNX Runtime and OpenVINO add the same products in another order; the logits of these models are below 10
NEAR = 1e-5


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def released(
    head: str,
    folder: Path,
    session: Mapping[str, str] = F32,
    *,
    precision: str = "fp32",
    needs: tuple[str, ...] = (),
) -> Path:
    """A release of `head` with a variant for ONNX Runtime and one for OpenVINO."""
    release = copied(head, folder / head)
    manifest = read_manifest(release)
    (cpu,) = manifest.variants
    own = replace(cpu, target="openvino", precision=precision, session=session, needs=needs)
    write_manifest(release, replace(manifest, variants=(cpu, own)))
    return release


def feeds(manifest: Manifest, batch: int, tokens: int) -> dict[str, np.ndarray]:
    """Random ids, with masks of all lengths, also of none."""
    generator = np.random.default_rng(tokens)
    choices = (3,) if "choices" in manifest.spans else ()
    shape = (batch, *choices, tokens)
    lengths = generator.integers(0, tokens + 1, shape[:-1])
    return {
        "input_ids": generator.integers(5, 100, shape),
        "attention_mask": (np.arange(tokens) < lengths[..., None]).astype(np.int64),
    }


def cached(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "distilforge" / "openvino").glob("*.blob"))


@pytest.mark.parametrize("head", heads.names())
def test_every_head_answers_as_in_onnx_runtime_for_any_shape(head: str, tmp_path: Path) -> None:
    release = released(head, tmp_path)
    cpu = distilforge.open(release, variant="onnxruntime-cpu:fp32", threads=1)
    compiled = distilforge.open(release, variant=VARIANT, threads=1)
    from_cache = distilforge.open(release, variant=VARIANT, threads=1)
    assert len(cached(tmp_path)) == 1
    assert compiled.providers == ("CPU",)
    for batch, tokens in ((1, 2), (3, 9), (8, 64), (2, 5), (3, 9)):
        arrays = feeds(cpu.manifest, batch, tokens)
        expected, answered = cpu.run(arrays), compiled.run(arrays)
        again = from_cache.run(arrays)
        for name, array in expected.items():
            np.testing.assert_allclose(answered[name], array, atol=NEAR, rtol=NEAR)
            np.testing.assert_array_equal(again[name], answered[name])


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_several_threads_share_a_session(threads: int | None, tmp_path: Path) -> None:
    session = distilforge.open(
        released("sequence_classification", tmp_path), variant=VARIANT, threads=threads
    )
    batches = [feeds(session.manifest, 1 + index % 4, 2 + index % 7) for index in range(40)]
    alone = [session.run(batch)["logits"] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda batch: session.run(batch)["logits"], batches))
    for expected, answered in zip(alone, together, strict=True):
        np.testing.assert_allclose(answered, expected, atol=NEAR, rtol=NEAR)


@pytest.mark.parametrize("damage", ["bit", "cut", "empty"])
def test_a_damaged_file_of_the_cache_costs_only_time(damage: str, tmp_path: Path) -> None:
    release = released("sequence_classification", tmp_path)
    expected = distilforge.open(release, variant=VARIANT, threads=1)
    (file,) = cached(tmp_path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes({"bit": content, "cut": content[:1000], "empty": b""}[damage])
    session = distilforge.open(release, variant=VARIANT, threads=1)
    arrays = feeds(session.manifest, 2, 7)
    np.testing.assert_array_equal(session.run(arrays)["logits"], expected.run(arrays)["logits"])


def test_a_model_that_openvino_cannot_import_is_compiled_again(tmp_path: Path) -> None:
    from distilforge.openvino import loading

    release = released("sequence_classification", tmp_path)
    session = distilforge.open(release, variant=VARIANT, threads=1)
    (path,) = cached(tmp_path)
    variant = read_manifest(release).variants[1]
    file = loading.cache_file(variant, release)
    assert file is not None
    assert file.path == path
    file.write(b"not a model of OpenVINO's")
    again = distilforge.open(release, variant=VARIANT, threads=1)
    arrays = feeds(session.manifest, 2, 7)
    np.testing.assert_array_equal(again.run(arrays)["logits"], session.run(arrays)["logits"])


SURVEY = """
import sys
import distilforge
session = distilforge.open(sys.argv[1], threads=1)
print(session.variant.name, "openvino" in sys.modules)
"""


@pytest.mark.parametrize("need", ["openvino-exact-int8", "openvino-bf16"])
def test_openvino_is_not_imported_where_another_variant_is_opened(need: str, tmp_path: Path) -> None:
    if not this_processor().instruction_sets:
        pytest.skip("this system does not list the processor's instructions")
    release = released("sequence_classification", tmp_path, precision="int8", needs=(need,))
    ran = subprocess.run(
        [sys.executable, "-c", SURVEY, str(release)], timeout=120, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["onnxruntime-cpu:fp32", "False"]


def test_a_need_is_tested_when_the_variant_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor may list instructions that are enough, and OpenVINO may still compute something else."""
    monkeypatch.setitem(machine.needs._entries, "openvino-exact-int8", lambda: "sums are cut off")
    enough = Processor(model="a processor", instruction_sets=("avx2", "avx_vnni"), cores=1)
    monkeypatch.setattr(machine, "this_processor", lambda: enough)
    release = released("features", tmp_path, needs=("openvino-exact-int8",))
    with pytest.raises(UnavailableError, match="it needs 'openvino-exact-int8', and sums are cut off"):
        distilforge.open(release, variant=VARIANT)


SCRIPT = """
import sys
import distilforge
distilforge.open(sys.argv[1], variant=sys.argv[2], threads=1)(["good movie"])
print([name for name in sys.modules if name.startswith("openvino_telemetry")])
"""


def test_openvino_keeps_nothing_in_the_home_and_reports_nothing(tmp_path: Path) -> None:
    """Importing openvino writes an identifier into the home, and sends it over the network."""
    home = tmp_path / "home"
    home.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(released("sequence_classification", tmp_path)), VARIANT],
        env={**os.environ, "HOME": str(home), "CI": ""},
        timeout=120,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "[]\n"
    assert list(home.iterdir()) == []


def test_a_cache_that_everybody_can_write_is_not_used(tmp_path: Path) -> None:
    release = released("sequence_classification", tmp_path)
    folder = tmp_path / "cache" / "distilforge" / "openvino"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    distilforge.open(release, variant=VARIANT, threads=1)
    assert cached(tmp_path) == []


def test_bf16_is_refused_where_the_processor_does_not_compute_it(tmp_path: Path) -> None:
    if set(this_processor().instruction_sets) & {"amx_bf16", "avx512_bf16"}:
        pytest.skip("this processor computes bf16")
    bf16 = {"INFERENCE_PRECISION_HINT": "bf16"}
    release = released("features", tmp_path, bf16, precision="bf16", needs=("openvino-bf16",))
    with pytest.raises(
        UnavailableError, match="'openvino-bf16', and the processor has no amx_bf16 or avx512_bf16"
    ):
        distilforge.open(release, variant="openvino:bf16")
    # A release that does not say what it needs
    release = released("features", tmp_path / "bare", bf16, precision="bf16")
    with pytest.raises(UnavailableError, match="was validated in bf16, and OpenVINO computes in f32 here"):
        distilforge.open(release, variant="openvino:bf16")


def test_weights_of_7_bits_are_exact_everywhere_and_those_of_8_bits_are_not_without_vnni() -> None:
    activations, weights = extremes()
    assert openvino_exact_int8.deviation(activations, (weights // 2).astype(np.int8)) is None
    if not set(this_processor().instruction_sets) & {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm"}:
        observed = openvino_exact_int8.deviation(activations, weights)
        assert observed is not None
        assert "int8 matrix products saturate here: OpenVINO computed" in observed
        assert "it needs 'openvino-exact-int8', and int8" in str(lacking(["openvino-exact-int8"]))


def test_only_the_cpu_and_only_onnx_files(tmp_path: Path) -> None:
    release = released("features", tmp_path)
    with pytest.raises(UnavailableError, match=r"cannot use GPU(?s:.*)providers=\['CPU'\]"):
        distilforge.open(release, variant=VARIANT, providers=["GPU"])
    assert distilforge.open(release, variant=VARIANT, providers=["CPU"]).providers == ("CPU",)
    manifest = read_manifest(release)
    (release / GRAPH).rename(release / "onnx/model.xml")
    variants = [replace(variant, files=("onnx/model.xml",)) for variant in manifest.variants]
    write_manifest(release, replace(manifest, variants=tuple(variants), files=record_files(release)))
    with pytest.raises(ReleaseError, match=r"it must be an ONNX file, \.onnx"):
        distilforge.open(release, variant=VARIANT)


def test_a_file_that_is_not_an_onnx_file(tmp_path: Path) -> None:
    release = released("features", tmp_path)
    (release / GRAPH).write_bytes(b"not an ONNX file")
    manifest = read_manifest(release)
    write_manifest(release, replace(manifest, files=record_files(release)))
    with pytest.raises(ReleaseError, match="is not a readable ONNX file"):
        distilforge.open(release, variant=VARIANT)


ALONE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"onnxruntime", "onnx", "torch", "transformers", "pipeline", "validation"}:
            raise ModuleNotFoundError(f"{name} must not be imported", name=name)

sys.meta_path.insert(0, Refuse())
import distilforge

session = distilforge.open(sys.argv[1])
print(session.variant.name, session("a good movie").label)
"""


def test_an_application_needs_neither_torch_nor_onnxruntime(tmp_path: Path) -> None:
    release = released("sequence_classification", tmp_path)
    manifest = read_manifest(release)
    write_manifest(release, replace(manifest, variants=manifest.variants[1:]))
    finished = subprocess.run(
        [sys.executable, "-c", ALONE, str(release)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert finished.returncode == 0, finished.stderr
    name, label = finished.stdout.split()
    assert name == VARIANT
    assert label in LABELS["sequence_classification"] or label.startswith("LABEL")


def test_the_plug_in_says_why_it_cannot_run(tmp_path: Path) -> None:
    backend = backends.get("onnxruntime-openvino")
    assert backend is not None
    release = released("features", tmp_path)
    variant = replace(read_manifest(release).variants[1], target="onnxruntime-openvino")
    obstacle = backend.obstacle(variant)
    if obstacle is None:
        pytest.skip("the plug-in runs here")
    assert "pip install onnxruntime-ep-openvino" in obstacle or "it needs an Intel processor" in obstacle
