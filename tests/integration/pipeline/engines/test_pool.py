"""Several engines at once: the limit of memory, and Ctrl-C."""

import contextlib
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from distilforge.manifest import CompiledEngine

from pipeline.engines.options import EngineOptions
from pipeline.engines.pool import Pool, estimated_bytes
from pipeline.errors import StageError
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from tests.engine_graphs import axes, graph_file

HEAD = "sequence_classification"
ROOT = Path(__file__).parents[4]
real = pytest.mark.skipif(sys.platform != "linux", reason="TensorRT-RTX has no wheel for this machine")


def quiet(text: str) -> None:
    pass


@real
def test_several_capabilities_are_built_at_once(tmp_path: Path) -> None:
    pool = Pool(workers=2)

    def task(capability: str) -> CompiledEngine:
        options = EngineOptions(capabilities=(capability,))
        output = tmp_path / f"{capability}.engine"
        return pool.build(graph_file(HEAD, "fp16"), TENSORRT_RTX, options, axes(HEAD), output, progress=quiet)

    graph_file(HEAD, "fp16")
    built = pool.run({name: partial(task, name) for name in ("8.6", "8.9", "12.0")}, progress=quiet)
    assert {name: engine.capabilities for name, engine in built.items()} == {
        name: (name,) for name in ("8.6", "8.9", "12.0")
    }


def test_builds_that_do_not_fit_together_run_one_after_the_other(tmp_path: Path) -> None:
    graph = tmp_path / "broken.onnx"
    graph.write_bytes(b"no graph")
    pool = Pool(memory_bytes=int(1.5 * estimated_bytes(graph)), workers=2)
    said: list[str] = []
    tasks = {
        name: partial(
            pool.build,
            graph,
            TENSORRT_RTX,
            EngineOptions(),
            axes(HEAD),
            tmp_path / f"{name}.engine",
            progress=said.append,
        )
        for name in ("a", "b")
    }
    with pytest.raises(StageError):
        pool.run(tasks, progress=said.append)
    (waited,) = (text for text in said if "waits for" in text)
    # Either of the two threads can come first
    assert waited in ("a.engine waits for 0.4 GB of memory", "b.engine waits for 0.4 GB of memory")


def test_a_build_larger_than_the_bound_runs_alone(tmp_path: Path) -> None:
    graph = tmp_path / "broken.onnx"
    graph.write_bytes(b"no graph")
    build = partial(
        Pool(memory_bytes=1).build, graph, TENSORRT_RTX, EngineOptions(), axes(HEAD), tmp_path / "x.engine"
    )
    with pytest.raises(StageError):
        build(progress=quiet)


INTERRUPTED = """
import signal, sys
from functools import partial
from pathlib import Path
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from pipeline.engines.options import EngineOptions
from pipeline.engines.pool import Pool
from distilforge.manifest import Span

signal.signal(signal.SIGINT, signal.default_int_handler)
spans = {"batch": Span(low=1, usual=8, high=32), "sequence": Span(low=2, usual=12, high=24)}
pool = Pool(workers=2)
say = partial(print, flush=True)
tasks = {
    name: partial(pool.build, Path(sys.argv[1]), TENSORRT_RTX, EngineOptions(), spans, Path(name), progress=say)
    for name in sys.argv[2:]
}
pool.run(tasks, progress=say)
"""


@real
def test_ctrl_c_kills_the_compilers_and_leaves_no_engine(tmp_path: Path) -> None:
    outputs = [tmp_path / f"{number}.engine" for number in range(20)]
    building = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(graph_file(HEAD, "fp16")), *map(str, outputs)],
        cwd=ROOT,
        # The workers' command lines contain this folder, where their jobs are
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert building.stdout is not None
    building.stdout.readline()
    compiling = compilers_of(tmp_path)
    building.send_signal(signal.SIGINT)
    _, complaint = building.communicate(timeout=60)
    assert compiling
    assert "KeyboardInterrupt" in complaint
    assert not outputs[-1].exists()
    assert not compilers_of(tmp_path)


def compilers_of(folder: Path) -> list[str]:
    """The command lines of running workers whose jobs are in `folder`."""
    command_lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command_lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in command_lines if "pipeline.engines.worker" in line and str(folder) in line]
