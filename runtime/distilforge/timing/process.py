"""Subjects in processes of their own: each runs when it is asked, and is stopped otherwise."""

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
from distilforge.timing.environment import child_environment
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Subject

LAST_LINE_CHARACTERS = 300
"""How much of the last line that a subject printed goes into an error message."""
CAN_STOP = hasattr(signal, "SIGSTOP")
"""Whether this system can stop processes; Windows cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A subject's answer to one request."""

    seconds: tuple[float, ...] = ()
    """Seconds of each run, in order."""
    facts: Mapping[str, Json] = field(default_factory=dict)
    """Other facts from the runner, by name."""
    refusal: str = ""
    """Why the subject cannot take the shape; empty if it can."""


class Worker:
    """An open subject in a process of its own; a context manager that ends the process.

    Thread pools keep spinning for a while after a run, some for 200 ms. The process is stopped between its turns so
    that they do not take a core from the next subject. Windows cannot stop processes; there they run on.
    """

    def __init__(self, subject: Subject) -> None:
        """Start the process and open `subject` in it.

        Raises TimingError, with the last line that the process printed, if that fails.
        """
        self.subject = subject
        """The subject that is open."""
        self._log = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - `close` closes it
        command = (
            sys.executable,
            "-m",
            "distilforge.timing.worker",
            subject.opener,
            json.dumps(subject.arguments),
        )
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            env=child_environment(),
            # Ctrl-C goes to the parent alone, which then ends its workers
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
        """The subject's name."""
        return self.subject.name

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended; it may be stopped."""
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
            # Closing flushes a request that the dead process did not read
            with suppress(BrokenPipeError):
                stream.close()

    def run(self, shape: Shape, *, settle: bool, warm_ups: int, runs: int) -> Reply:
        """Time `runs` runs at `shape`, after untimed ones that warm the subject up.

        With `settle` it first runs until it is warm, if the shape is new to it; then it runs `warm_ups` more times.
        Raises TimingError if the process ends.
        """
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
            refusal=reply.get("refused", ""),
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
        last = lines[-1][:LAST_LINE_CHARACTERS] if lines else "it printed nothing"
        killed = CAN_STOP and code == -signal.SIGKILL
        return TimingError(
            f"the process of {self.name} ended with exit code {code}: {last}",
            hint="the system killed it, most often for lack of memory" if killed else "",
        )

    def _stop(self) -> None:
        if CAN_STOP:
            self._process.send_signal(signal.SIGSTOP)

    def _continue(self) -> None:
        if CAN_STOP:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def open_workers(subjects: Sequence[Subject]) -> Iterator[tuple[Worker, ...]]:
    """Open `subjects`, one after another; raises TimingError if one does not open."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(Worker(subject)) for subject in subjects)
