"""What this user may not read is an error of this package; a folder that cannot be listed could hide files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime_release import GRAPH, copied

SCRIPT = """
import sys
from pathlib import Path

import distilforge
from distilforge.release import resolve, verify

for call in (lambda: verify(resolve(sys.argv[1])), lambda: distilforge.open(sys.argv[1])):
    try:
        call()
    except distilforge.ReleaseError as error:
        print(str(error).replace("\\n", " "))
    else:
        print("accepted")
"""
# An administrator's process can read everything until it gives that up
WITHOUT_PRIVILEGES = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
    if os.geteuid() == 0
    else ()
)

pytestmark = pytest.mark.skipif(
    bool(WITHOUT_PRIVILEGES) and shutil.which("setpriv") is None,
    reason="this user may read everything, and there is no setpriv to give that up",
)


def results(release: Path) -> list[str]:
    """The message of `verify` and of `open`, or "accepted"."""
    command = (*WITHOUT_PRIVILEGES, sys.executable, "-c", SCRIPT, str(release))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("closed", "mode"),
    [
        (".", 0),
        ("onnx", 0),
        ("onnx", 0o311),
        (".", 0o311),
        ("notes", 0),
        ("manifest.json", 0),
        ("config.json", 0),
        ("tokenizer.json", 0),
        ("vocab.txt", 0),
        (GRAPH, 0),
    ],
)
def test_what_is_closed(closed: str, mode: int, tmp_path: Path) -> None:
    release = copied("sequence_classification", tmp_path / "release")
    (release / "notes").mkdir()
    path = release / closed
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        for result in results(release):
            assert "Permission denied" in result
            assert "hint: check its permissions" in result
    finally:
        path.chmod(before)
    assert results(release) == ["accepted", "accepted"]


def test_a_closed_folder_above_the_release(tmp_path: Path) -> None:
    release = copied("sequence_classification", tmp_path / "closed" / "release")
    release.parent.chmod(0)
    try:
        assert all("Permission denied" in result for result in results(release))
    finally:
        release.parent.chmod(0o700)


def test_lost_and_found_of_a_volume_may_be_closed(tmp_path: Path) -> None:
    release = copied("sequence_classification", tmp_path / "release")
    (release / "lost+found").mkdir(mode=0)
    assert results(release) == ["accepted", "accepted"]
