"""A CPU whose int8 products saturate, emulated by QEMU: variants that would answer otherwise there are not opened.

`apt-get install qemu-user` installs the emulator. Haswell has AVX2 but no VNNI: kernels add two products in 16 bits.
"""

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.machine import exact_int8

from pipeline.graph import file as graphs
from pipeline.passes import registry
from pipeline.passes.base import apply
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan
from tests.runtime_release import GRAPH, TEXTS, copied, read_manifest, record_files, write_manifest
from validation.answers.generated import random_feeds

EMULATOR = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
INT8, INT8_7BIT = "onnx/model_quantized.onnx", "onnx/model_quantized_7bit.onnx"
PAIRS = "onnx/model_quantized_pairs.onnx"
# The same file with the setting that makes products exact, as another variant
PRECISE_VARIANT = "onnxruntime-cpu:int8_precise"

pytestmark = [
    pytest.mark.skipif(
        EMULATOR is None or platform.machine() != "x86_64" or sys.platform != "linux",
        reason="needs qemu-x86_64 (Debian's qemu-user) on an x86-64 Linux",
    ),
]

# What distilforge.open chooses and answers, then the logits of every file in plain ONNX Runtime
SCRIPT = """
import json, logging, sys
from pathlib import Path
import distilforge, onnxruntime

release, texts = Path(sys.argv[1]), json.loads(sys.argv[2])
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
session = distilforge.open(release, threads=1)
feeds = session.encode(texts)
refused = ""
precise = distilforge.open(release, variant="onnxruntime-cpu:int8_precise", threads=1)
# It would not open if the machine lacked its need
distilforge.open(release, variant="onnxruntime-cpu:int8_pairs", threads=1)
try:
    distilforge.open(release, variant="onnxruntime-cpu:int8")
except distilforge.UnavailableError as error:
    refused = str(error)
logits = {}
for path in sorted((release / "onnx").glob("*.onnx")):
    plain = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits[f"onnx/{path.name}"] = plain.run(["logits"], feeds)[0].tolist()
print(json.dumps({
    "variant": session.variant.name,
    "answer": session.run(feeds)["logits"].tolist(),
    "precise": precise.run(feeds)["logits"].tolist(),
    "refused": refused,
    "logits": logits,
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The results of the script on one machine."""

    variant: str
    """The variant that distilforge.open chose."""
    answer: np.ndarray
    """Its logits."""
    precise: np.ndarray
    """The logits of the 8-bit file with the precise setting."""
    refused: str
    """The error for the 8-bit variant; empty where it opened."""
    logits: dict[str, np.ndarray]
    """The logits of every file, by its name in the release."""
    log: str
    """stderr."""


def run_script(release: Path, *emulator: str) -> Report:
    finished = subprocess.run(
        [*emulator, sys.executable, "-c", SCRIPT, str(release), json.dumps(TEXTS[:6])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    printed = json.loads(finished.stdout)
    return Report(
        variant=printed["variant"],
        answer=np.array(printed["answer"]),
        precise=np.array(printed["precise"]),
        refused=printed["refused"],
        logits={name: np.array(values) for name, values in printed["logits"].items()},
        log=finished.stderr,
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with 8-bit and 7-bit variants; the 8-bit one comes first and needs a CPU with exact products."""
    folder = copied("sequence_classification", tmp_path_factory.mktemp("emulation") / "release")
    feeds = [random_feeds((4, 16), 100, np.random.default_rng(seed)) for seed in range(4)]
    for file, plan in (
        (INT8, Plan(scheme="int8_static")),
        (INT8_7BIT, Plan(scheme="int8_static", weight_bits=7)),
        (PAIRS, Plan(scheme="int8_static", exact_pairs=True)),
    ):
        graph = graphs.load(folder / GRAPH)
        schemes.find("int8_static").run(graph, plan, lambda: feeds)
        apply(graph, [registry.find("integer_matmul")])
        graphs.save(graph, folder / file)
    manifest = read_manifest(folder)
    fp32 = manifest.variants[0]
    variants = (
        replace(fp32, precision="int8", files=(INT8,), needs=("exact-int8",)),
        replace(fp32, precision="int8_7bit", files=(INT8_7BIT,)),
        fp32,
        replace(fp32, precision="int8_pairs", files=(PAIRS,), needs=("exact-int8-pairs",)),
        replace(
            fp32,
            precision="int8_precise",
            files=(INT8,),
            session=dict(exact_int8.PRECISE),
            needs=("exact-int8-precise",),
        ),
    )
    write_manifest(folder, replace(manifest, variants=variants, files=record_files(folder)))
    return folder


@pytest.fixture(scope="module")
def native(release: Path) -> Report:
    return run_script(release)


@pytest.fixture(scope="module")
def emulated(release: Path) -> Report:
    assert EMULATOR is not None
    return run_script(release, EMULATOR, "-cpu", "Haswell")


def test_the_7_bit_variant_is_chosen_for_a_reason(emulated: Report) -> None:
    assert emulated.variant == "onnxruntime-cpu:int8_7bit"
    assert (
        "onnxruntime-cpu:int8 cannot run here: it needs 'exact-int8', and int8 matrix products saturate"
        in (emulated.log)
    )


def test_asking_for_the_8_bit_variant_names_the_other(emulated: Report) -> None:
    assert "the variant 'onnxruntime-cpu:int8' cannot run on this machine" in emulated.refused
    assert "pass variant='onnxruntime-cpu:int8_7bit'" in emulated.refused


def test_the_8_bit_file_saturates_there(native: Report, emulated: Report) -> None:
    """Otherwise the other tests would prove nothing."""
    assert np.abs(native.precise - emulated.logits[INT8]).max() > 1e-2


def test_an_8_bit_file_whose_pairs_are_bounded_does_not(native: Report, emulated: Report) -> None:
    np.testing.assert_allclose(emulated.logits[PAIRS], native.logits[PAIRS], atol=1e-5)


def test_with_the_precise_setting_it_does_not(native: Report, emulated: Report) -> None:
    # Integer sums are exact; sums of float32 may be in another order on another CPU
    np.testing.assert_allclose(emulated.precise, native.precise, atol=1e-5)


def test_the_answers_are_those_of_a_machine_that_is_exact(native: Report, emulated: Report) -> None:
    # Integer sums are exact; sums of float32 may be in another order on another CPU
    np.testing.assert_allclose(emulated.answer, native.logits[INT8_7BIT], atol=1e-5)
    np.testing.assert_allclose(emulated.answer, emulated.logits[INT8_7BIT], atol=1e-6)


def test_fp32_does_not_depend_on_it(native: Report, emulated: Report) -> None:
    # Other kernels add in another order
    np.testing.assert_allclose(emulated.logits[GRAPH], native.logits[GRAPH], atol=1e-4)
