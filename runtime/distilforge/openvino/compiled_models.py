"""Keeps the models that OpenVINO compiled on this machine for the next process.

OpenVINO has a cache of its own (CACHE_DIR), which trusts what it reads: a file with a changed bit is another model.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distilforge import user_cache
from distilforge.errors import UnavailableError

_FOLDER = "openvino"
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
        return cls(path=folder / f"{digest.hexdigest()[:32]}.blob", key=digest.digest())

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
        return model

    def write(self, model: bytes) -> None:
        """Keep `model`; the file is replaced atomically."""
        try:
            user_cache.replace_file(self.path, self._digest(model), model, prefix=".model-")
        except OSError as cause:
            _logger.warning("a compiled model cannot be kept in %s: %s", self.path, cause)

    def _digest(self, model: bytes) -> bytes:
        digest = hashlib.sha256(self.key)
        digest.update(model)
        return digest.digest()


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.digest()
