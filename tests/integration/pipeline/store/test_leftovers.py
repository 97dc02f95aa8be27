"""What a killed build leaves in the work folder is removed by the next one."""

import subprocess
import sys
from pathlib import Path

from pipeline.store.work import WorkFolder
from tests.integration.conftest import Listener

ROOT = Path(__file__).parents[4]


def stages(root: Path) -> list[Path]:
    return [path for path in (root / "work" / "export").iterdir() if path.suffix != ".lock"]


def test_leftovers_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from pipeline.store.work import WorkFolder
class Silent:
    def started(self, stage, doing): pass
    def finished(self, stage, result, seconds, *, reused): pass
    def note(self, text): pass
def make(folder):
    (folder / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
WorkFolder(Path({str(tmp_path / "work")!r}), Silent()).stage("export", doing="", inputs={{}}, make=make)
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert killed.returncode == -9
    (left,) = stages(tmp_path)
    assert (left / "files" / "half.txt").exists()
    WorkFolder(tmp_path / "work", Listener())
    assert stages(tmp_path) == []
