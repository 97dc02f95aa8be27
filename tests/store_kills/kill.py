"""Kills a publisher, pulls, and pushes again."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from distilforge.release import verify
from distilforge.remote.find import find_store
from distilforge.remote.pull import pull

from tests.store_kills.publisher import DONE, READY
from tests.stores import small_release

ROOT = Path(__file__).parents[2]


class KillError(Exception):
    """A reader saw something else than the old release or the new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One publisher that was killed."""

    after_seconds: float
    """How long after its start it was killed."""
    finished: bool
    """Whether it had finished by then."""
    seen: str
    """What a reader saw afterwards: `old` or `new`."""

    def __str__(self) -> str:
        end = "had finished" if self.finished else "was killed"
        return f"after {self.after_seconds * 1e3:6.1f} ms it {end}; a reader pulled the {self.seen} release, whole"


def kills(url: str, folder: Path, environment: Mapping[str, str], *, times: int, seed: int) -> Iterator[Kill]:
    """Push `times` releases to the empty store `url`, kill each push at a random moment, and then finish it.

    Raises KillError if a reader does not pull the old or the new release, whole, or if the next push fails.
    """
    choices = random.Random(seed)
    first = small_release(folder, 0)
    longest = _push(first, url, environment, None).seconds
    old = first.name
    for number in range(1, times + 1):
        release = small_release(folder, number)
        seconds = choices.uniform(0.0, longest)
        attempt = _push(release, url, environment, seconds)
        seen = _pulled(url, folder)
        if seen not in (old, release.name) or (attempt.finished and seen != release.name):
            raise KillError(f"{seen!r} was pulled, instead of {old!r} or {release.name!r}")
        yield Kill(after_seconds=seconds, finished=attempt.finished, seen="old" if seen == old else "new")
        again = _push(release, url, environment, None)
        # The first push is slower than those after it, and too many kills would come too late
        longest = seconds if attempt.finished else again.seconds
        latest = find_store(url).find(channel=None, version=None).version
        if latest != release.name:
            raise KillError(f"after a second push, latest is {latest!r}, instead of {release.name!r}")
        old = release.name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One process that pushed."""

    finished: bool
    """Whether it came to its end."""
    seconds: float
    """How long it pushed, its start not counted."""


def _push(release: Path, url: str, environment: Mapping[str, str], kill_after: float | None) -> _Attempt:
    """Push `release` in a process of its own, which is killed after some seconds, or else must come to its end."""
    command = [sys.executable, "-m", "tests.store_kills.publisher", str(release), url]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'runtime'}"},
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != READY:
            raise KillError(f"{command!r} did not start")
        began = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        finished = DONE in process.stdout.read()
        seconds = time.monotonic() - began
    if kill_after is None and not finished:
        raise KillError(f"{command!r} ended with {process.returncode}")
    return _Attempt(finished=finished, seconds=seconds)


def _pulled(url: str, folder: Path) -> str:
    """The version that `latest` gives to a reader without a cache; the last one that is listed must be whole too."""
    index = find_store(url).index()
    assert index is not None
    version = ""
    for wanted in (index.releases[-1].version, None):
        shutil.rmtree(folder / "cache", ignore_errors=True)
        shutil.rmtree(folder / "pulled", ignore_errors=True)
        result = pull(url, folder / "pulled", lambda _: None, version=wanted)
        version = verify(Path(result.folder)).version
    return version
