"""A worker process that is replaced when it ends."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress

from distilforge.bulk.rows import Answers, Batch
from distilforge.bulk.worker import Opening, OpensAnswerer
from distilforge.errors import DistilforgeError
from distilforge.timing.environment import child_environment

ATTEMPTS = 2
"""How many processes a batch may end before its rows become error rows."""
_LAST_LINE_CHARACTERS = 300
# The libraries that have thread pools of their own: OpenMP, and Rayon in tokenizers
_THREADS = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")


class WorkerEndedError(DistilforgeError):
    """A worker's process ended before it answered."""


class WorkerSlot:
    """A place for a worker process: one runs in it, and another one takes over if it ends."""

    def __init__(self, settings: OpensAnswerer, *, threads: int, cores: tuple[int, ...] = ()) -> None:
        """`threads` are the threads of a worker, which runs on `cores`; () leaves that to the system."""
        self._settings = settings
        self._threads = threads
        self._cores = cores
        self._process: _Process | None = None
        self._killed = False

    def answer(self, batch: Batch) -> Answers:
        """Answer `batch`; if a process ends over it twice, every row becomes an error row.

        Raises what `settings.open` raises, and WorkerEndedError if a process ends before it is open.
        """
        reason = ""
        for _ in range(ATTEMPTS):
            process = self._open()
            try:
                return process.answer(batch)
            except WorkerEndedError as ended:
                self._process = None
                process.close()
                if self._killed:
                    raise
                reason = ended.message
        return self._settings.failed(
            batch, f"the rows {_span(batch)} ended {ATTEMPTS} workers, the last: {reason}"
        )

    def kill(self) -> None:
        """End the process for good; `answer` raises WorkerEndedError. Another thread may call this."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process and free what belongs to it; no thread may be in `answer`."""
        self.kill()
        if self._process is not None:
            self._process.close()
            self._process = None

    def _open(self) -> "_Process":
        if self._process is None:
            process = _Process(self._threads)
            self._process = process
            try:
                # `kill` in another thread sees the process, or this thread sees the flag
                if self._killed:
                    raise WorkerEndedError("the worker was told to end")
                process.open(Opening(settings=self._settings, cores=self._cores))
            except BaseException:
                self._process = None
                process.close()
                raise
        return self._process


class _Process:
    """One process with an open answerer."""

    def __init__(self, threads: int) -> None:
        self._log = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - `close` closes it
        self._process = subprocess.Popen(
            (sys.executable, "-m", "distilforge.bulk.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**child_environment(), **dict.fromkeys(_THREADS, str(threads))},
            # Ctrl-C goes to the parent alone, which then ends its workers
            start_new_session=True,
        )

    def open(self, opening: Opening) -> None:
        reply = self._ask(opening)
        if isinstance(reply, DistilforgeError):
            raise reply

    def answer(self, batch: Batch) -> Answers:
        answers = self._ask(batch)
        assert isinstance(answers, Answers)
        return answers

    def _ask(self, message: Opening | Batch) -> object:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()
            reply: object = pickle.load(self._process.stdout)  # noqa: S301 - from our own process
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            raise self._ended() from None
        return reply

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            # Closing flushes a request that the dead process did not read
            with suppress(BrokenPipeError):
                stream.close()

    def _ended(self) -> WorkerEndedError:
        code = self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().splitlines() if line.strip()]
        last = lines[-1][:_LAST_LINE_CHARACTERS] if lines else "it printed nothing"
        killed = os.name == "posix" and code == -signal.SIGKILL
        cause = "the system killed it, most often for lack of memory" if killed else last
        return WorkerEndedError(f"exit code {code}, {cause}")


def _span(batch: Batch) -> str:
    return f"{batch.first} to {batch.first + len(batch.rows) - 1}"
