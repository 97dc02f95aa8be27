"""The process that reads inputs, with limits on its memory and its time, so that no input can end the fuzzer."""

import gc
import multiprocessing
import os
import resource
import signal
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tests.fuzz import targets
from tests.fuzz.target import Input, Reader, Target, Use

MOST_SECONDS = 10
"""The most processor time that one use of an input may take; the largest JSON that is read takes 3 s on a busy core."""
MOST_BYTES = 1 << 30
"""The most memory that one use of an input may take."""
_MOST_WALL_SECONDS = 60.0
# A waiting process uses no processor time, and a busy machine makes seconds long
_MOST_START_SECONDS = 300.0
# Above MOST_BYTES, so that the peak tells it even where a broad handler hides MemoryError
_MOST_ADDRESSES = 3 << 30
_LAST_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an input led to."""

    error: str = ""
    """The class of the error that refused it; empty if it was accepted."""
    finding: str = ""
    """What must not happen, in one line that is the same for all inputs that lead to it; empty if nothing did."""
    details: str = ""
    """The traceback, or what the process wrote before it ended."""


class SampleError(Exception):
    """The code under test refuses a real file, so that nothing would be learnt from its mutations."""


class ReaderProcess:
    """A process with the code under test, which is started when it is needed, and again after it ended."""

    def __init__(self, module: str, samples: Path) -> None:
        """`module` has the `TARGET`."""
        self._module = module
        self._samples = samples
        self._work = tempfile.TemporaryDirectory(prefix="distilforge-fuzz-")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> "ReaderProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()
        self._work.cleanup()

    def start(self) -> None:
        """Start the process if it does not run; raises SampleError if it cannot read the target's own samples."""
        if self._process is not None:
            return
        folder = Path(tempfile.mkdtemp(dir=self._work.name))
        self._output = folder / "output"
        context = _context()
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._module, self._samples, folder), daemon=True
        )
        self._process.start()
        theirs.close()
        answer = self._receive(_MOST_START_SECONDS)
        if not isinstance(answer, Outcome) or answer.finding:
            details = answer.details if isinstance(answer, Outcome) else self._last_output()
            self._stop()
            raise SampleError(f"{self._module} does not read its own samples:\n{details}")

    def read(self, value: Input) -> Outcome:
        """What `value` leads to. A process that ended is started again for the next input."""
        self.start()
        assert self._connection is not None
        self._connection.send(value)
        answer = self._receive(_MOST_WALL_SECONDS)
        if not isinstance(answer, Outcome):
            answer = self._ended()
        if answer.finding:
            self._stop()
        return answer

    def _receive(self, seconds: float) -> Outcome | None:
        """The process's answer; None if it ended, or does not answer."""
        assert self._connection is not None
        try:
            answer = self._connection.recv() if self._connection.poll(seconds) else None
        except (EOFError, ConnectionError):
            return None
        assert answer is None or isinstance(answer, Outcome)
        return answer

    def _ended(self) -> Outcome:
        """The outcome of an input that the process did not answer."""
        assert self._process is not None
        self._process.join(1)
        code = self._process.exitcode
        if code is None:
            return Outcome(finding="hang: no answer", details=f"none in {_MOST_WALL_SECONDS:g} s")
        if code == -signal.SIGXCPU:
            return Outcome(finding="hang: too much processor time", details=f"more than {MOST_SECONDS} s")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Outcome(finding=f"crash: {how}", details=self._last_output())

    def _last_output(self) -> str:
        if not self._output.is_file():
            return ""
        return self._output.read_text(encoding="utf-8", errors="replace")[-_LAST_CHARACTERS:]

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None


def _context() -> ForkServerContext:
    """Starts processes as forks of one that has imported all targets: they import torch, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([targets.module(name) for name in targets.names()])
    return context


def _serve(connection: Connection, module: str, samples: Path, folder: Path) -> None:
    """Answer every input with its outcome, until the other end closes."""
    _end_with_parent()
    # Ctrl-C goes to the parent, which ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        target = import_module(module).TARGET
        assert isinstance(target, Target)
        reader = target.prepare(samples, folder)
        for sample in target.samples(samples):
            for use in reader(sample):
                use()
    except BaseException:  # noqa: BLE001 - the parent raises it
        connection.send(Outcome(finding="start", details=traceback.format_exc()))
        return
    # A collection would copy every page that this fork shares with the others
    gc.freeze()
    resource.setrlimit(resource.RLIMIT_AS, (_addresses() + _MOST_ADDRESSES, resource.RLIM_INFINITY))
    usual = _peak_bytes()
    connection.send(Outcome())
    while True:
        try:
            value = connection.recv()
        except EOFError:
            return
        connection.send(_outcome(reader, value, target.errors, usual))


def _outcome(reader: Reader, value: Input, errors: tuple[type[Exception], ...], usual: int) -> Outcome:
    """Read one input; `usual` are the bytes that the process needs without one."""
    outcome = Outcome()
    for use in reader(value):
        result = _result(use, errors, usual)
        if result.finding:
            return result
        outcome = outcome if outcome.error else result
    return outcome


def _result(use: Use, errors: tuple[type[Exception], ...], usual: int) -> Outcome:
    """The outcome of one use."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    started = time.process_time()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    # The kernel ends the process then; it counts whole seconds
    resource.setrlimit(resource.RLIMIT_CPU, (int(started) + MOST_SECONDS + 2, hard))
    refusal = ""
    try:
        use()
    except errors as error:
        refusal = type(error).__name__
    # A panic of Rust code is not an Exception
    except BaseException as error:  # noqa: BLE001 - it is what the fuzzer looks for
        return Outcome(finding=_kind(error), details=traceback.format_exc()[-_LAST_CHARACTERS * 4 :])
    seconds, grown = time.process_time() - started, _peak_bytes() - usual
    if seconds > MOST_SECONDS:
        return Outcome(finding="hang: too much processor time", details=f"{seconds:.1f} s")
    if grown > MOST_BYTES:
        return Outcome(finding="memory", details=f"{grown / 1e9:.1f} GB more than usual")
    return Outcome(error=refusal)


def _kind(error: BaseException) -> str:
    """The class of an error, and the innermost line that raised it outside of the standard library."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "lib/python" not in frame.filename
    ]
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__module__}.{type(error).__name__}{place}"


def _addresses() -> int:
    """The bytes of address space that this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _peak_bytes() -> int:
    """The most memory that this process had since it was last reset."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _end_with_parent() -> None:
    """End this process when the one that asked for it ends, of which a fork of the fork server is not a child."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
