"""Subjects as processes: each runs when it is asked and is stopped otherwise."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType

from distilforge.errors import TimingError
from distilforge.timing.environment import inherited
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Subject

LAST_WORDS = 300
CAN_STOP = hasattr(signal, "SIGSTOP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one turn of a subject gave."""

    seconds: tuple[float, ...] = ()
    """Of each run, in the order run."""
    facts: Mapping[str, Json] = field(default_factory=dict)
    """What the runner says besides."""
    refused: str = ""
    """Why the subject cannot take the shape; empty where it can."""


class Worker:
    """A subject's process, opened; a context manager that ends it.

    Thread pools wait actively for a while after a run, some for 200 ms: stopped, they take no core from the next
    subject. Where the system cannot stop processes (Windows) they are left running.
    """

    def __init__(self, subject: Subject) -> None:
        """Open `subject` in a process; TimingError, with the last line that it printed, where that fails."""
        self.subject = subject
        self._log = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed with us
        command = (
            sys.executable,
            "-m",
            "distilforge.timing.worker",
            subject.opener,
            json.dumps(subject.arguments),
        )
        self._process = subprocess.Popen(  # noqa: S603 - a module of ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            # `-m` adds the working folder, from which benchmarks are run
            env=inherited(),
            # Ctrl-C is for the parent, which then ends its workers
            start_new_session=True,
        )
        try:
            self._read()
            self._stop()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs or is stopped; it has not ended."""
        return self._process.poll() is None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            # Closing writes what is left of a request that a dead process did not take
            with suppress(BrokenPipeError):
                stream.close()

    def run(self, shape: Shape, *, settle: bool, warm_ups: int, runs: int) -> Reply:
        """`runs` timed runs at `shape`; before them untimed ones: until it is warm with `settle`, and `warm_ups`."""
        request = {
            "batch": shape.batch,
            "tokens": shape.tokens,
            "settle": settle,
            "warm_ups": warm_ups,
            "runs": runs,
        }
        assert self._process.stdin is not None
        self._continue()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        reply = json.loads(self._read())
        self._stop()
        return Reply(
            seconds=tuple(reply.get("seconds", ())),
            facts=reply.get("facts", {}),
            refused=reply.get("refused", ""),
        )

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return line

    def _ended(self) -> TimingError:
        code = self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().splitlines() if line.strip()]
        last = lines[-1][:LAST_WORDS] if lines else "it printed nothing"
        return TimingError(f"the process of {self.name} ended with exit code {code}: {last}")

    def _stop(self) -> None:
        if CAN_STOP:
            self._process.send_signal(signal.SIGSTOP)

    def _continue(self) -> None:
        if CAN_STOP:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def open_workers(subjects: Sequence[Subject]) -> Iterator[tuple[Worker, ...]]:
    """All of `subjects`, opened one after another; TimingError where one does not open."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(Worker(subject)) for subject in subjects)
