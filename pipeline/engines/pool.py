"""Builds several engines at once, within a limit of memory."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from distilforge.manifest import CompiledEngine, Span

from pipeline.engines.build import Progress, build
from pipeline.engines.compiler import EngineCompiler
from pipeline.engines.options import EngineOptions

Result = TypeVar("Result")

# A worker's peak memory, measured with TensorRT-RTX 1.7.1: 0.27 GB for a graph that is nearly empty. For
# DistilBERT-base 0.71 GB with a graph of 0.134 GB (fp16), 1.12 GB with one of 0.268 GB (fp32) and 0.56 GB with one of
# 0.067 GB (int8); 0.07 GB more for four profiles.
_TOOLKIT_BYTES = 350_000_000
_BYTES_PER_GRAPH_BYTE = 4
# Of the free memory, so that the build itself and other processes keep some
_SHARE = 0.7


class Pool:
    """Runs tasks that build engines, as many at once as `memory_bytes` and `workers` allow.

    `memory_bytes` is what the compilers may use together, None for most of what is free. `workers` is the number of
    threads, None for one per core.
    """

    def __init__(self, *, memory_bytes: int | None = None, workers: int | None = None) -> None:
        self._memory = memory_bytes if memory_bytes is not None else int(free_bytes() * _SHARE)
        self._workers = workers or len(os.sched_getaffinity(0))
        self._used = 0
        self._room = threading.Condition()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def build(
        self,
        graph: Path,
        compiler: EngineCompiler,
        options: EngineOptions,
        spans: Mapping[str, Span],
        output: Path,
        *,
        progress: Progress,
    ) -> CompiledEngine:
        """Call `pipeline.engines.build.build` when its memory is free; a build larger than the limit runs alone."""
        started: list[subprocess.Popen[str]] = []

        def watch(process: subprocess.Popen[str]) -> None:
            started.append(process)
            with self._room:
                self._running.add(process)
                if self._stopped:
                    process.kill()

        with self._reserved(estimated_bytes(graph), output.name, progress):
            try:
                return build(graph, compiler, options, spans, output, progress=progress, watch=watch)
            finally:
                with self._room:
                    self._running.difference_update(started)

    def run(self, tasks: Mapping[str, Callable[[], Result]], *, progress: Progress) -> dict[str, Result]:
        """Run `tasks` and return their results by name.

        When one fails, no further one is started, the running ones finish, `progress` receives the names of those
        that failed, and the first failure is raised. Ctrl-C kills the compilers.
        """
        with ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="engine") as threads:
            futures = {name: threads.submit(task) for name, task in tasks.items()}
            try:
                wait(futures.values(), return_when=FIRST_EXCEPTION)
            except BaseException:
                self._stop(futures)
                raise
            for future in futures.values():
                if _failed(future):
                    _cancel(futures)
            # Running threads finish first, and Ctrl-C must reach them meanwhile
            try:
                wait(futures.values())
            except BaseException:
                self._stop(futures)
                raise
        failures = {name: future for name, future in futures.items() if _failed(future)}
        for name in failures:
            progress(f"{name} failed")
        for future in failures.values():
            future.result()
        return {name: future.result() for name, future in futures.items()}

    @contextmanager
    def _reserved(self, wanted: int, name: str, progress: Progress) -> Iterator[None]:
        with self._room:
            if not self._has_room(wanted):
                progress(f"{name} waits for {wanted / 1e9:.1f} GB of memory")
                self._room.wait_for(lambda: self._stopped or self._has_room(wanted))
            self._used += wanted
        try:
            yield
        finally:
            with self._room:
                self._used -= wanted
                self._room.notify_all()

    def _has_room(self, wanted: int) -> bool:
        return not self._used or self._used + wanted <= self._memory

    def _stop(self, futures: Mapping[str, "Future[Result]"]) -> None:
        _cancel(futures)
        with self._room:
            self._stopped = True
            for process in self._running:
                process.kill()
            self._room.notify_all()


def estimated_bytes(graph: Path) -> int:
    """An upper bound of the memory that compiling the ONNX file `graph` takes, from the size of its files."""
    external_data = graph.with_name(f"{graph.name}_data")
    size = sum(path.stat().st_size for path in (graph, external_data) if path.exists())
    return _TOOLKIT_BYTES + size * _BYTES_PER_GRAPH_BYTE


def free_bytes() -> int:
    """The memory that this process and its children can still take: the machine's, or its control group's if less."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        # There are no control groups, or older ones, or there is no limit ("max")
        return free
    return min(free, max(limit - used, 0))


def _cancel(futures: Mapping[str, "Future[Result]"]) -> None:
    for future in futures.values():
        future.cancel()


def _failed(future: "Future[Result]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is not None
