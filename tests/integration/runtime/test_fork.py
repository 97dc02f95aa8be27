"""A process that was forked with an open session, as by gunicorn's --preload and Celery's prefork pool, ends."""

import gc
import os
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
from distilforge import telemetry

from tests.runtime_release import copied, published, read_manifest, write_manifest

SCRIPT = """
import os, sys
import distilforge
session = distilforge.open(sys.argv[1])
before = session(["good movie"])
child = os.fork()
if child == 0:
    # The interpreter cleans up as it does at the end of a worker
    sys.exit(3 if session(["good movie"]) == before else 4)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# A child that hangs never ends, and one that works takes about a second
SECONDS = 60


def test_a_forked_process_answers_and_ends_and_the_home_stays_empty(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment.pop(telemetry.VARIABLE, None)
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(published("sequence_classification").release)],
        env={**environment, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        timeout=SECONDS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 3, ran.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


IDLE = """
import os, sys, time
import distilforge
session = distilforge.open(sys.argv[1], variant=sys.argv[2], threads=2)
before = session.run(session.encode(["good movie"] * 8))
# The engine's threads stop waiting actively, and sleep
time.sleep(1)
child = os.fork()
if child == 0:
    after = session.run(session.encode(["good movie"] * 8))
    sys.exit(3 if all((after[name] == before[name]).all() for name in before) else 4)
deadline = time.monotonic() + 30
while True:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        sys.exit(os.waitstatus_to_exitcode(status))
    if time.monotonic() > deadline:
        os.kill(child, 9)
        sys.exit("the child did not end")
    time.sleep(0.05)
"""


def for_openvino(release: Path) -> Path:
    """The release with the variant openvino:fp32 besides."""
    manifest = read_manifest(release)
    (cpu,) = manifest.variants
    added = replace(cpu, target="openvino", session={"INFERENCE_PRECISION_HINT": "f32"})
    write_manifest(release, replace(manifest, variants=(cpu, added)))
    return release


REOPENED = """
import os, pickle, sys
import distilforge
session = distilforge.open(sys.argv[1], variant=sys.argv[2], threads=2)
session.run(session.encode(["good movie"]))
pickled = pickle.dumps(session)
child = os.fork()
if child == 0:
    try:
        pickle.loads(pickled)
    except distilforge.UnavailableError as error:
        sys.exit(3 if "spawn or forkserver" in error.hint else 4)
    sys.exit(5)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_openvino_is_not_opened_again_in_a_process_that_is_forked(tmp_path: Path) -> None:
    """It may wait there without end, for threads that the fork does not have."""
    pytest.importorskip("openvino")
    release = for_openvino(copied("sequence_classification", tmp_path / "release"))
    ran = subprocess.run(
        [sys.executable, "-c", REOPENED, str(release), "openvino:fp32"],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        timeout=SECONDS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 3, ran.stderr


@pytest.mark.parametrize("target", ["onnxruntime-cpu", "openvino"])
def test_a_process_that_is_forked_from_an_idle_one_ends(tmp_path: Path, target: str) -> None:
    release = copied("sequence_classification", tmp_path / "release")
    if target == "openvino":
        pytest.importorskip("openvino")
        for_openvino(release)
    ran = subprocess.run(
        [sys.executable, "-c", IDLE, str(release), f"{target}:fp32"],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        timeout=SECONDS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 3, ran.stderr


def test_a_session_goes_in_its_own_process() -> None:
    session = distilforge.open(published("sequence_classification").release)
    reference = weakref.ref(session)
    del session
    gc.collect()
    assert reference() is None
