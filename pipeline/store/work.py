"""The work folder: the result of every stage, found again by a digest of all that went into it.

.work/<stage>/<key>/stage.json    what went in, and the digest of every file that came out
.work/<stage>/<key>/files/        what came out
.work/<stage>/<key>.aside/        a stage being written; it gets its final name once it is whole and on the disk
.work/<stage>/<key>.lock          held while a build writes that stage, so an .aside without a holder is a leftover
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from distilforge.manifest import FileRecord
from filelock import FileLock, Timeout

from pipeline.errors import UsageError, in_stage
from pipeline.store import digests, storage

RECORD = "stage.json"
ASIDE = ".aside"
KEY_DIGITS = 16


class Talk(Protocol):
    """Whom a build tells what it is doing."""

    def started(self, stage: str, doing: str) -> None:
        """`stage` has work to do."""

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        """`stage` is done; `reused` when an earlier build had done the work."""

    def note(self, text: str) -> None:
        """Something worth knowing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A finished stage: where its files are, their digest, and whether this build had any work with it."""

    name: str
    folder: Path
    digest: str
    reused: bool


class WorkFolder:
    """The work folder at `root`; created where absent, and rid of what dead builds left behind.

    Raises UsageError where `root` cannot be written.
    """

    def __init__(self, root: Path, talk: Talk) -> None:
        self._root = root
        self._talk = talk
        try:
            root.mkdir(parents=True, exist_ok=True)
            for aside in root.glob(f"*/*{ASIDE}"):
                self._sweep(aside)
        except OSError as cause:
            raise UsageError(
                f"cannot write to the artifacts folder: {cause}",
                hint="choose a writable folder with --artifacts",
            ) from cause

    def stage(
        self,
        name: str,
        *,
        doing: str,
        inputs: Mapping[str, object],
        make: Callable[[Path], None],
        stays: Callable[[Path], bool] = lambda folder: True,
    ) -> Stage:
        """The stage `name` for `inputs`: found whole, or made by `make`, which fills the folder it is given.

        `inputs` is everything the result depends on, as JSON types. What was measured depends on the moment too: where
        `stays` says of the folder of an earlier result that it does not stay, it is made again. Two builds of the same
        stage at once: the second waits and finds it. Raises StageError, with the cause chained, for every error that
        does not explain itself.
        """
        key = digests.of_value({"stage": name, "inputs": inputs})[:KEY_DIGITS]
        started = time.monotonic()
        with in_stage(name):
            final = self._root / name / key
            final.parent.mkdir(parents=True, exist_ok=True)
            with self._alone(final, name):
                digest = self._whole(final, name)
                if digest is not None and not stays(final / "files"):
                    storage.remove(final)
                    digest = None
                reused = digest is not None
                if digest is None:
                    self._talk.started(name, doing)
                    digest = _write(final, name, inputs, make)
        self._talk.finished(name, key, time.monotonic() - started, reused=reused)
        return Stage(name=name, folder=final / "files", digest=digest, reused=reused)

    @contextmanager
    def _alone(self, final: Path, name: str) -> Iterator[None]:
        lock = FileLock(_lock(final))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._talk.note(f"another build is at the same {name}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _whole(self, final: Path, name: str) -> str | None:
        """The digest of a stage made earlier, or None where there is none that is whole."""
        if not final.exists():
            return None
        records = _read(final / RECORD)
        if records is not None:
            wrong = digests.damaged(final / "files", records)
            if not wrong:
                return digests.of_records(records)
            self._talk.note(f"{final} is damaged ({', '.join(wrong)}); making it again")
        else:
            self._talk.note(f"{final} has no readable {RECORD}; making it again")
        storage.remove(final)
        return None

    def _sweep(self, aside: Path) -> None:
        try:
            with FileLock(_lock(aside), timeout=0):
                storage.remove(aside)
        except Timeout:
            pass  # a live build is writing it


def clean(root: Path) -> int:
    """Remove the work folder `root` and return the bytes it held; UsageError while a build is using it."""
    held = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    for lock in root.glob("*/*.lock"):
        try:
            with FileLock(lock, timeout=0):
                pass
        except Timeout as cause:
            raise UsageError(f"a build is using {root}", hint="wait for it to end, or stop it") from cause
    storage.remove(root)
    return held


def _write(final: Path, name: str, inputs: Mapping[str, object], make: Callable[[Path], None]) -> str:
    aside = final.with_name(final.name + ASIDE)
    storage.empty(aside)
    try:
        files = aside / "files"
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
        (aside / RECORD).write_text(text + "\n", encoding="utf-8")
        storage.rename(aside, final)
    except BaseException:  # Ctrl-C too must leave nothing behind
        storage.remove(aside)
        raise
    return digests.of_records(records)


def _read(path: Path) -> dict[str, FileRecord] | None:
    """The recorded files, or None where the record is absent or damaged."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {
            str(name): FileRecord(sha256=entry["sha256"], bytes=entry["bytes"])
            for name, entry in files.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _lock(path: Path) -> Path:
    """The lock of a stage's folder, or of the folder aside that becomes it."""
    return path.with_name(f"{path.name.removesuffix(ASIDE)}.lock")
