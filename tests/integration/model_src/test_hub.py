"""Models of a hub, read through its local cache as on a machine that has downloaded them before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import MakeCheckpoint

LOAD = (
    "import sys; from model_src.checkpoint import load_checkpoint; print(load_checkpoint(sys.argv[1]).head)"
)


def load(hub_id: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    command = [sys.executable, "-c", LOAD, hub_id]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_cached_model_is_read(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    repository = tmp_path / "cache" / "models--someone--tiny"
    shutil.copytree(make_checkpoint("features"), repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    done = load("someone/tiny", tmp_path / "cache")
    assert done.stdout.strip() == "features", done.stderr


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = load("someone/absent", tmp_path)
    assert done.returncode != 0
    assert "CheckpointError: there is no folder someone/absent" in done.stderr
