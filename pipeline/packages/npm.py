"""Files of npm packages, at fixed versions: fetched by npm, checked against their digests, kept in the user's cache."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distilforge import user_cache

from pipeline.errors import MissingError

_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmPackage:
    """Some files of one version of an npm package."""

    name: str
    """Its name, such as `@huggingface/transformers`."""
    version: str
    """Its version."""
    integrity: str
    """The SHA-512 of its archive, as package-lock.json writes it."""
    licence: str
    """Its licence, by its SPDX identifier."""
    files: Mapping[str, str]
    """The wanted files by their path in the package, and the names that they get."""

    def extract(self, folder: Path) -> None:
        """Write the wanted files into `folder`; MissingError if the package cannot be had."""
        with tarfile.open(self._archive()) as archive:
            for path, name in self.files.items():
                member = archive.extractfile(f"package/{path}")
                if member is None:
                    raise MissingError(f"{self.name} {self.version} does not have the file {path!r}")
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with member, target.open("wb") as file:
                    shutil.copyfileobj(member, file)

    def _archive(self) -> Path:
        """The package's archive, which has its digest."""
        cached = user_cache.folder("npm") / f"{self.name.replace('/', '+')}-{self.version}.tgz"
        if not cached.is_file() or self._digest(cached) != self.integrity:
            self._fetch(cached)
        return cached

    def _fetch(self, cached: Path) -> None:
        cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec = f"{self.name}@{self.version}"
        npm = shutil.which("npm")
        if npm is None:
            raise MissingError(
                f"npm is not installed; it fetches {spec}, which the package holds",
                hint="install Node.js 20 or newer, which brings npm",
            )
        with tempfile.TemporaryDirectory(dir=cached.parent) as temporary:
            command = (npm, "pack", spec, "--ignore-scripts", "--silent", "--pack-destination", temporary)
            try:
                # The name and the version are constants of the kinds
                subprocess.run(  # noqa: S603
                    command, cwd=temporary, check=True, capture_output=True, text=True, timeout=_SECONDS
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as cause:
                text = str(cause.stderr or "").strip() or str(cause)
                raise MissingError(
                    f"npm could not fetch {spec}: {text:.500}",
                    hint="npm needs its registry once; later packages take the archive from the user's cache",
                ) from cause
            (archive,) = Path(temporary).glob("*.tgz")
            digest = self._digest(archive)
            if digest != self.integrity:
                raise MissingError(
                    f"the archive of {spec} has the digest {digest}, and this version must have {self.integrity}",
                    hint="the registry that npm is set to serves another file under this version: do not use it",
                )
            archive.replace(cached)

    @staticmethod
    def _digest(path: Path) -> str:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").digest()
        return f"sha512-{base64.b64encode(digest).decode()}"
