"""Columns as processes: made ready, opened alone for their memory, and then all together for the contest."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contest import Contestant, Reply, Worker, WorkerError
from bench.gpu.subjects import Subject
from bench.prepared import Absent
from bench.shapes import Shape

MODULE = "bench.gpu.worker"
LAST_WORDS = 300
# torch.compile compiles in its first run, captures a CUDA graph in its second and replays it from then on
ALONE_RUNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes at one shape: of the device since before the subject was opened, and of tensors as torch counts them."""

    device: int
    allocated: int | None


class GpuWorker(Worker):
    """A column's process; `memory` is that of the latest run."""

    memory: Memory | None = None

    def run(self, shape: Shape, *, warm_ups: int, runs: int) -> Reply:
        reply = super().run(shape, warm_ups=warm_ups, runs=runs)
        self.memory = Memory(device=self._latest["device_bytes"], allocated=self._latest["allocated_bytes"])
        return reply

    def _read(self) -> str:
        line = super()._read()
        self._latest = json.loads(line)
        return line


def prepare(subject: Subject, checkpoint: Path, folder: Path, log: Path) -> Contestant | Absent:
    """The subject as a contestant, or why it cannot be one."""
    command = (sys.executable, "-m", MODULE, "prepare", subject.name, str(checkpoint), str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as errors:
        done = subprocess.run(command, stdout=errors, stderr=errors, check=False)  # noqa: S603 - a module of ours
    if done.returncode != 0:
        return Absent(name=subject.title, reason=f"preparing it failed: {last_words(log)}")
    return Contestant(name=subject.title, subject=subject.name, source=str(folder))


@contextmanager
def open_worker(contestant: Contestant, log: Path) -> Iterator[GpuWorker]:
    """The contestant's process, opened; WorkerError where it ends at once."""
    command = (sys.executable, "-m", MODULE, contestant.subject, contestant.source)
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 - a module of ours
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    worker = GpuWorker(contestant, process)
    try:
        worker.wait_until_open()
        yield worker
    finally:
        worker.close()


@contextmanager
def open_workers(contestants: Sequence[Contestant], logs: Path) -> Iterator[list[GpuWorker]]:
    """All of them; WorkerError where one does not open."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(open_worker(one, logs / f"{number}.log"))
            for number, one in enumerate(contestants)
        ]


def alone(contestant: Contestant, shapes: Sequence[Shape], log: Path) -> Mapping[Shape, Memory] | Absent:
    """The memory that it takes at each shape with the device to itself, or why it does not answer all of them."""
    shape = None
    found: dict[Shape, Memory] = {}
    try:
        with open_worker(contestant, log) as worker:
            for shape in shapes:
                worker.run(shape, warm_ups=0, runs=ALONE_RUNS)
                assert worker.memory is not None
                found[shape] = worker.memory
    except (WorkerError, BrokenPipeError):
        at = f"at {shape}: " if shape else ""
        return Absent(name=contestant.name, reason=f"{at}{last_words(log)}")
    return found


def last_words(log: Path) -> str:
    """The last line that a process wrote."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:LAST_WORDS] if lines else "it said nothing"
