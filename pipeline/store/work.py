"""The work folder keeps the result of every stage under a digest of the stage's inputs.

.work/<stage>/<key>/stage.json    the inputs, and the digest of every file
.work/<stage>/<key>/files/        the files
.work/<stage>/<key>.aside/        a stage that is being written; it is renamed once it is complete and on the disk
.work/<stage>/<key>.lock          held while a build writes the stage; an .aside whose lock is free is a leftover
.work/in-use.lock                 shared by the builds that run, so that `clean` does not take a stage from them
"""

import errno
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from distilforge.manifest import FileRecord
from filelock import FileLock, Timeout

from pipeline.errors import in_stage
from pipeline.store import digests, storage, usage

WORK = ".work"
"""The work folder below the folder of the releases."""
RECORD = "stage.json"
ASIDE = ".aside"
KEY_DIGITS = 16


class ProgressListener(Protocol):
    """Receives the progress messages of a build."""

    def started(self, stage: str, doing: str) -> None:
        """`stage` starts to work; `doing` says on what."""

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        """`stage` is done with the key or version `result`; `reused` if an earlier build had done the work."""

    def note(self, text: str) -> None:
        """A message that belongs to no stage's start or end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A finished stage."""

    name: str
    """The name of the stage."""
    folder: Path
    """The folder of its files."""
    digest: str
    """A digest over the names and contents of its files."""
    reused: bool
    """Whether an earlier build had done the work."""


class WorkFolder:
    """The work folder at `root`, which is created if needed. Leftovers of killed builds are removed.

    Raises UsageError if `root` cannot be written.
    """

    def __init__(self, root: Path, listener: ProgressListener) -> None:
        self._root = root
        self._listener = listener
        try:
            root.mkdir(parents=True, exist_ok=True)
            for staging in root.glob(f"*/*{ASIDE}"):
                self._remove_leftover(staging)
        except OSError as cause:
            raise usage.unwritable(cause) from cause

    def stage(
        self,
        name: str,
        *,
        doing: str,
        inputs: Mapping[str, object],
        make: Callable[[Path], None],
        is_reusable: Callable[[Path], bool] = lambda folder: True,
    ) -> Stage:
        """The stage `name` for `inputs`: an earlier result, or else the files that `make` writes into its argument.

        `inputs` is everything that the result depends on, as JSON types. A measurement also depends on the moment, so
        an earlier result is only used if `is_reusable` returns true for its folder. If two builds need the same stage
        at once, the second waits for the first. Raises StageError, with the cause chained, for every error that does
        not explain itself.
        """
        key = digests.of_value({"stage": name, "inputs": inputs})[:KEY_DIGITS]
        started = time.monotonic()
        with in_stage(name):
            final = self._root / name / key
            final.parent.mkdir(parents=True, exist_ok=True)
            with self._locked(final, name):
                digest = self._intact_digest(final, name)
                if digest is not None and not is_reusable(final / "files"):
                    storage.remove(final)
                    digest = None
                reused = digest is not None
                if digest is None:
                    self._listener.started(name, doing)
                    digest = _write(final, name, inputs, make)
        self._listener.finished(name, key, time.monotonic() - started, reused=reused)
        return Stage(name=name, folder=final / "files", digest=digest, reused=reused)

    def note(self, text: str) -> None:
        """Send a message that belongs to no stage's start or end."""
        self._listener.note(text)

    @contextmanager
    def _locked(self, final: Path, name: str) -> Iterator[None]:
        lock = FileLock(_lock(final))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._listener.note(f"another build is making the same {name}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _intact_digest(self, final: Path, name: str) -> str | None:
        """The digest of an earlier result; None if there is none or it is damaged."""
        if not final.exists():
            return None
        records = _read(final / RECORD)
        if records is not None:
            damaged = digests.damaged(final / "files", records)
            if not damaged:
                return digests.of_records(records)
            self._listener.note(f"{final} is damaged ({', '.join(damaged)}); making it again")
        else:
            self._listener.note(f"{final} has no readable {RECORD}; making it again")
        storage.remove(final)
        return None

    def _remove_leftover(self, staging: Path) -> None:
        try:
            with FileLock(_lock(staging), timeout=0):
                storage.remove(staging)
        except Timeout:
            pass  # a running build is writing it


def clean(root: Path) -> int:
    """Remove the content of the work folder `root` and return its size in bytes.

    `root` itself is removed too, unless it is a link. Raises UsageError while a build uses it, and if it cannot be
    removed.
    """
    try:
        return _clean(root) if root.is_dir() else 0
    except OSError as cause:
        raise usage.unwritable(cause) from cause


def _clean(root: Path) -> int:
    with usage.alone(root):
        size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir())
        _refuse_locked(root)
        for path in root.iterdir():
            if path.name != usage.LOCK:
                storage.remove(path)
        # Last: builds that wait for this lock must not start in a folder that is being removed
        storage.remove(root / usage.LOCK)
        if not root.is_symlink():
            _remove_empty(root)
    return size


def _refuse_locked(root: Path) -> None:
    """UsageError if a stage or a release of the work folder `root` is locked."""
    for lock in root.glob("*/*.lock"):
        try:
            with FileLock(lock, timeout=0):
                pass
        except Timeout as cause:
            raise usage.busy(root) from cause


def _remove_empty(folder: Path) -> None:
    """Remove `folder`, unless a build has begun to use it again."""
    try:
        folder.rmdir()
    except OSError as cause:
        if cause.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def _write(final: Path, name: str, inputs: Mapping[str, object], make: Callable[[Path], None]) -> str:
    staging = final.with_name(final.name + ASIDE)
    storage.make_empty(staging)
    try:
        files = staging / "files"
        files.mkdir()
        make(files)
        records = digests.record(files)
        text = json.dumps(
            {
                "stage": name,
                "inputs": inputs,
                "files": {path: asdict(entry) for path, entry in records.items()},
            },
            indent=1,
        )
        (staging / RECORD).write_text(text + "\n", encoding="utf-8")
        storage.commit(staging, final)
    except BaseException:  # Ctrl-C must not leave anything behind either
        storage.remove(staging)
        raise
    return digests.of_records(records)


def inputs_of(path: Path) -> Mapping[str, object]:
    """The inputs of the stage that wrote the file `path` into its folder; empty if no stage's record lists it."""
    record = path.resolve().parent.parent / RECORD
    if path.name not in (_read(record) or {}):
        return {}
    inputs = json.loads(record.read_text(encoding="utf-8")).get("inputs")
    return inputs if isinstance(inputs, dict) else {}


def _read(path: Path) -> dict[str, FileRecord] | None:
    """The files in the record `path`; None if the record is missing or damaged."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {
            str(name): FileRecord(sha256=entry["sha256"], bytes=entry["bytes"])
            for name, entry in files.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _lock(path: Path) -> Path:
    """The lock of a stage's folder, which may still have the suffix ASIDE."""
    return path.with_name(f"{path.name.removesuffix(ASIDE)}.lock")
