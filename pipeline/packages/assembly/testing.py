"""Runs the self-test of a package."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import MissingError, StageError
from pipeline.packages.assembly.record import PackageRecord

_TIMEOUT_SECONDS = 600
_CLIENT_IS_MISSING = 3
_SHOWN_CHARACTERS = 2000
# What Python, Node.js and npm look at
_TEMPORARY = ("TMPDIR", "TEMP", "TMP")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What a self-test printed on its last line, as a JSON object."""

    client: str
    """What answered, with its version, such as "onnxruntime 1.31.1"."""
    start_seconds: float
    """How long it took from the start of loading to the first answer."""
    examples: int
    """How many examples were answered as expected."""
    largest_error: float
    """The largest difference from an expected value."""


def run(record: PackageRecord, folder: Path) -> SelfTest:
    """Run the self-test of the package in `folder`.

    Raises StageError if it fails or does not end within ten minutes, and MissingError if the client is not installed.
    """
    program, *arguments = record.self_test
    command = [sys.executable if program == "python" else program, *arguments]
    try:
        with tempfile.TemporaryDirectory(prefix="distilforge-self-test-") as temporary:
            done = _completed(command, folder, temporary)
    except FileNotFoundError as cause:
        raise MissingError(
            f"the self-test of a package of the kind {record.kind} needs the program {program!r}, which is not "
            "installed",
            hint=f"install it, or run the test elsewhere: {' '.join(record.self_test)}",
        ) from cause
    except subprocess.TimeoutExpired as cause:
        raise StageError(
            "self-test",
            f"it did not end within {_TIMEOUT_SECONDS} seconds",
            hint=f"run it by hand in {folder}",
        ) from cause
    if done.returncode == _CLIENT_IS_MISSING:
        raise MissingError(
            _last_line(done.stderr),
            hint=f"when that is mended, or on another machine: {' '.join(record.self_test)}",
        )
    if done.returncode:
        raise StageError(
            "self-test",
            f"exit code {done.returncode}: {done.stderr[-_SHOWN_CHARACTERS:].strip()}",
            hint=f"run it by hand: cd {shlex.quote(str(folder))} && {' '.join(record.self_test)}",
        )
    return _result(_last_line(done.stdout), record)


def _completed(command: Sequence[str], folder: Path, temporary: str) -> "subprocess.CompletedProcess[str]":
    """Run `command`, which keeps its files in `temporary`; whatever ends this run ends all that it started."""
    # The command is the package's own, which this program has just written
    with subprocess.Popen(  # noqa: S603
        command,
        cwd=folder,
        env=os.environ | dict.fromkeys(_TEMPORARY, temporary),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=_TIMEOUT_SECONDS)
        except BaseException:
            # It may have ended at this moment
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def _result(line: str, record: PackageRecord) -> SelfTest:
    try:
        values = json.loads(line)
        return SelfTest(
            client=str(values["client"]),
            start_seconds=float(values["start_seconds"]),
            examples=int(values["examples"]),
            largest_error=float(values["largest_error"]),
        )
    except (ValueError, KeyError, TypeError) as cause:
        raise StageError(
            "self-test",
            f"the last line that the self-test of the kind {record.kind} printed is not its result: {line!r:.200}",
            hint="it must be a JSON object with client, start_seconds, examples and largest_error",
        ) from cause
