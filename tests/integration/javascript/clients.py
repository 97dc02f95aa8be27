"""Runs the JavaScript clients that `make clients-js` installs, and skips where they are not."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[2] / "clients" / "javascript"
MODULES = CLIENTS / "node_modules"
needs_clients = pytest.mark.skipif(
    not MODULES.is_dir() or shutil.which("node") is None,
    reason="the JavaScript clients are not installed: make clients-js",
)
needs_browser = pytest.mark.skipif(
    not Path(os.environ.get("CHROMIUM", "/usr/bin/chromium")).is_file(),
    reason="Chromium is not installed: apt-get install chromium",
)


def node(script: str, *arguments: str | Path) -> object:
    """The JSON that `script` of tests/clients/javascript prints."""
    command = ["node", str(CLIENTS / script), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def run(*command: str | Path, folder: Path) -> str:
    """What a command prints that must succeed in `folder`."""
    # The engine's installer fetches CUDA otherwise
    variables = {**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip"}
    ran = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
