"""Builds in forks of a process that has everything imported, so a build takes a second or two.

The process is started by a test with `run_server` and calls a function of the test's module.
"""

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The stages import these when they run
_LATE_IMPORTS = (
    "model_src.checkpoint",
    "onnxscript",
    "pipeline.graph.exporter",
    "pipeline.precision",
    "pipeline.release.compose",
    "pipeline.stages.calibration",
    "pipeline.stages.transform",
    "validation.latency.speed",
    "validation.validate",
)


def run_server(module: str, function: str, *arguments: str | Path | int, timeout: float) -> str:
    """What `function` of `module` prints in a new process, in which every pool has one thread.

    A fork has none of its parent's other threads.
    """
    script = (
        "import sys\n"
        "from tests.integration.forked_builds import serve\n"
        "serve(sys.argv[1], sys.argv[2], *sys.argv[3:])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, module, function, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def serve(module: str, function: str, *arguments: str) -> None:
    """Import what builds need, and call `function` of `module`."""
    for name in _LATE_IMPORTS:
        importlib.import_module(name)
    # A collection in a fork would copy every page that it shares with this process
    gc.freeze()
    getattr(importlib.import_module(module), function)(*arguments)


def fork(work: Callable[[], object]) -> int:
    """Do `work` in a fork, and return its process id; its exit code is 0 if `work` returns."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except SystemExit as end:
        code = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def exit_code(child: int) -> int:
    """The exit code of the fork `child`, once it has ended; minus the signal's number if one killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
