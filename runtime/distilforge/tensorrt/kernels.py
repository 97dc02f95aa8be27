"""Keeps the kernels that TensorRT-RTX compiled on this machine for the next process."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from distilforge import user_cache

_logger = logging.getLogger("distilforge")
# Kernels for one shape are compiled in the background, some time after its first run. Each pause is twice the last
_FIRST_PAUSE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 3600.0


class RuntimeCache(Protocol):
    """TensorRT-RTX's IRuntimeCache."""

    def deserialize(self, blob: bytes) -> bool: ...
    def serialize(self) -> "memoryview | bytes | None": ...


def path_for(folder: Path, engine: Path, made_by: str, device: str) -> Path:
    """The file for one engine, one version of the runtime and one device; TensorRT-RTX checks everything else."""
    digest = hashlib.sha256()
    with engine.open("rb") as file:
        while piece := file.read(4 << 20):
            digest.update(piece)
    digest.update(f"\0{made_by}\0{device}".encode())
    return folder / f"{digest.hexdigest()[:32]}.cache"


class KernelCache:
    """A runtime cache and its file. A failure to read or write the file is only logged: it costs time, not answers.

    `clock` returns seconds, and never goes back.
    """

    def __init__(self, cache: RuntimeCache, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._path = path
        self._clock = clock
        self._saved = b""
        self._lock = threading.Lock()
        self._due_lock = threading.Lock()
        self._due_seconds = clock()
        self._pause_seconds = _FIRST_PAUSE_SECONDS

    def load(self) -> bool:
        """Read the file, and return whether it had kernels for this machine."""
        try:
            blob = self._path.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as cause:
            _logger.warning("the kernels in %s cannot be read: %s", self._path, cause)
            return False
        if not self._deserialize(blob):
            _logger.info(
                "the kernels in %s are from another driver or version; they are compiled again", self._path
            )
            return False
        self._saved = hashlib.sha256(blob).digest()
        return True

    def save_when_due(self) -> bool:
        """Call `save` after the first run, and after later runs in growing intervals; return whether it wrote the file.

        The first time is at once, since the process may be killed later.
        """
        with self._due_lock:
            now = self._clock()
            if now < self._due_seconds:
                return False
            self._due_seconds = now + self._pause_seconds
            self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
        return self.save()

    def save(self) -> bool:
        """Write the file if there are new kernels, and return whether it was written. It is replaced atomically."""
        with self._lock:
            blob = self._serialized()
            digest = hashlib.sha256(blob).digest()
            if not blob or digest == self._saved:
                return False
            try:
                user_cache.replace_file(self._path, blob, prefix=".kernels-")
            except OSError as cause:
                _logger.warning("kernels cannot be kept in %s: %s", self._path, cause)
                return False
            self._saved = digest
            return True

    def _deserialize(self, blob: bytes) -> bool:
        try:
            return self._cache.deserialize(blob)
        # The toolkit compiles them again, as with those that it does not take
        except Exception as cause:  # noqa: BLE001
            _logger.warning("the kernels in %s cannot be read: %s", self._path, cause)
            return False

    def _serialized(self) -> bytes:
        """The kernels as the toolkit writes them; nothing where it fails."""
        try:
            blob = self._cache.serialize()
        # The answer is there already, and no failure of the toolkit here is worth losing it
        except Exception as cause:  # noqa: BLE001
            _logger.warning("kernels cannot be kept in %s: %s", self._path, cause)
            return b""
        if blob is None:
            _logger.warning("kernels cannot be kept in %s: TensorRT-RTX gives none", self._path)
            return b""
        return bytes(blob)
