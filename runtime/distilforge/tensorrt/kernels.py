"""The kernels that TensorRT-RTX compiled on this machine, kept for the next process."""

import hashlib
import logging
import os
import tempfile
import threading
from pathlib import Path
from typing import Protocol

_logger = logging.getLogger("distilforge")


class RuntimeCache(Protocol):
    """TensorRT-RTX's IRuntimeCache."""

    def deserialize(self, blob: bytes) -> bool: ...
    def serialize(self) -> "memoryview | bytes": ...


def path_for(folder: Path, engine: Path, made_by: str, device: str) -> Path:
    """A name for each engine's content, toolkit and device; TensorRT-RTX checks the rest itself."""
    digest = hashlib.sha256()
    with engine.open("rb") as file:
        while piece := file.read(4 << 20):
            digest.update(piece)
    digest.update(f"\0{made_by}\0{device}".encode())
    return folder / f"{digest.hexdigest()[:32]}.cache"


class KernelCache:
    """A runtime cache and its file; whatever goes wrong with the file costs time, not answers, and is logged."""

    def __init__(self, cache: RuntimeCache, path: Path) -> None:
        self._cache = cache
        self._path = path
        self._saved = b""
        self._lock = threading.Lock()

    def load(self) -> bool:
        """Take what the file has; whether it had something that fits this machine."""
        try:
            blob = self._path.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as cause:
            _logger.warning("kernels kept at %s cannot be read: %s", self._path, cause)
            return False
        if not self._cache.deserialize(blob):
            _logger.info(
                "kernels kept at %s are from another driver or version; they are made anew", self._path
            )
            return False
        self._saved = hashlib.sha256(blob).digest()
        return True

    def save(self) -> bool:
        """Write the file where there are new kernels; whether it was written. Readers see the old file or the new."""
        with self._lock:
            blob = bytes(self._cache.serialize())
            digest = hashlib.sha256(blob).digest()
            if not blob or digest == self._saved:
                return False
            try:
                # Code is loaded from here: nobody else may write it.
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                handle, aside = tempfile.mkstemp(dir=self._path.parent, prefix=".kernels-")
                try:
                    with os.fdopen(handle, "wb") as file:
                        file.write(blob)
                    Path(aside).replace(self._path)
                except BaseException:
                    Path(aside).unlink(missing_ok=True)
                    raise
            except OSError as cause:
                _logger.warning("kernels cannot be kept at %s: %s", self._path, cause)
                return False
            self._saved = digest
            return True
