"""Keeps the models that OpenVINO compiled on this machine for the next process.

OpenVINO has a cache of its own (CACHE_DIR), which trusts what it reads: a file with a changed bit is another model.
"""

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from distilforge import user_cache
from distilforge.errors import UnavailableError

MOST_BYTES = 4 << 30
"""How large the cache may be; the models that were not used for the longest time are removed. DistilBERT-base takes
0.1 GB in 8 bits and 0.3 GB in float32."""
_FOLDER = "openvino"
_SUFFIX = ".blob"
_TEMPORARY = ".model-"
# A writer needs seconds, so an older temporary file belongs to a writer that was killed
_TEMPORARY_SECONDS = 3600.0
_DIGEST_BYTES = hashlib.sha256().digest_size
_PIECE_BYTES = 4 << 20
_logger = logging.getLogger("distilforge")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledModelFile:
    """The file of one compiled model: a SHA-256, which covers the key too, and then what OpenVINO exported.

    A file that is absent, damaged or not to be trusted counts as absent. No failure is an error: it costs time, not
    answers.
    """

    path: Path
    """The file, which may not exist."""
    key: bytes
    """What the model was compiled from; a file with another key is not this model."""

    @classmethod
    def of(
        cls, files: tuple[Path, ...], made_by: str, properties: Mapping[str, str]
    ) -> "CompiledModelFile | None":
        """The file for the graph in `files`, the version and machine `made_by`, and `properties`.

        None where this user has no cache folder that can be trusted.
        """
        digest = hashlib.sha256(repr((made_by, sorted(properties.items()))).encode())
        for graph in files:
            digest.update(_sha256(graph))
        try:
            folder = user_cache.folder(_FOLDER)
        except UnavailableError as error:
            _logger.warning("%s, so that compiled models are not kept", error.message)
            return None
        return cls(path=folder / f"{digest.hexdigest()[:32]}{_SUFFIX}", key=digest.digest())

    def read(self) -> bytes | None:
        """The compiled model; None where there is no file that can be used."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as cause:
            _logger.warning("the compiled model %s cannot be read: %s", self.path, cause)
            return None
        digest, model = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest != self._digest(model):
            _logger.warning("the compiled model %s is damaged; it is compiled again", self.path)
            return None
        # The time of its last use decides what is removed first
        with suppress(OSError):
            os.utime(self.path)
        return model

    def write(self, model: bytes) -> None:
        """Keep `model`, and remove what makes the cache larger than MOST_BYTES; the file is replaced atomically."""
        try:
            user_cache.replace_file(self.path, self._digest(model), model, prefix=_TEMPORARY)
            _remove_least_recent(self.path, _DIGEST_BYTES + len(model))
        except OSError as cause:
            _logger.warning("a compiled model cannot be kept in %s: %s", self.path, cause)

    def _digest(self, model: bytes) -> bytes:
        digest = hashlib.sha256(self.key)
        digest.update(model)
        return digest.digest()


def _remove_least_recent(written: Path, total_bytes: int) -> None:
    """Remove the models beyond MOST_BYTES, the least recently used first, and what killed writers left behind.

    The model `written` of `total_bytes` stays, whatever its size. Other processes may do the same: a file that has
    vanished is passed over, and one that is being read stays readable (on Windows it cannot be removed until then).
    """
    models: list[tuple[float, Path, int]] = []
    for path in written.parent.iterdir():
        with suppress(FileNotFoundError):
            status = path.stat()
            if path.name.startswith(_TEMPORARY):
                if time.time() - status.st_mtime > _TEMPORARY_SECONDS:
                    path.unlink()
            elif path.suffix == _SUFFIX and path != written:
                models.append((status.st_mtime, path, status.st_size))
    for _, path, size_bytes in sorted(models, reverse=True):
        total_bytes += size_bytes
        if total_bytes > MOST_BYTES:
            with suppress(FileNotFoundError, PermissionError):
                path.unlink()


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.digest()
