"""Files on any file system that fsspec knows, which need neither a rename nor a lock."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from distilforge.errors import InputError, UnavailableError


class Place:
    """A file or folder at a URL, or at a path of this machine."""

    def __init__(self, url: str) -> None:
        """Raises UnavailableError if the URL's protocol needs a package that is not installed."""
        try:
            self._files, self._path = fsspec.core.url_to_fs(url)
        except ImportError as cause:
            raise UnavailableError(
                f"{url!r:.200} needs a package that is not installed: {cause}",
                hint="install the package that fsspec names for this protocol, such as s3fs for s3://",
            ) from cause
        except ValueError as cause:
            raise InputError(f"{url!r:.200} cannot be opened: {cause}") from cause
        self.url: str = self._files.unstrip_protocol(self._path)
        """The whole URL."""
        self.is_local = isinstance(self._files, LocalFileSystem)
        """Whether it is on a file system of this machine, where a rename is atomic."""

    def inside(self, name: str) -> "Place":
        """The file `name` in this folder."""
        return Place(f"{self.url}/{name}")

    def beside(self, suffix: str) -> "Place":
        """The file or folder with this name and `suffix` after it."""
        return Place(f"{self.url}{suffix}")

    def size_bytes(self) -> int | None:
        """The file's size; None if there is no file."""
        with _storage_errors(self.url, "read"):
            # Another process or machine may have changed what fsspec has listed
            self._files.invalidate_cache()
            try:
                info: dict[str, object] = self._files.info(self._path)
            except FileNotFoundError:
                return None
        size = info.get("size")
        return size if info.get("type") == "file" and isinstance(size, int) else None

    def modified(self) -> str:
        """When the file was changed, or a tag of its content; empty if the file system says neither."""
        with _storage_errors(self.url, "read"):
            try:
                return str(self._files.modified(self._path).isoformat())
            except NotImplementedError:
                return str(self._files.info(self._path).get("ETag", ""))

    @contextmanager
    def reader(self) -> Iterator[BinaryIO]:
        """The file, opened to be read; InputError for whatever the file system refuses."""
        with _storage_errors(self.url, "read"), self._files.open(self._path, "rb") as file:
            yield file

    def read(self) -> bytes | None:
        """The file's content; None if there is no file."""
        if self.size_bytes() is None:
            return None
        with self.reader() as file:
            return file.read()

    @contextmanager
    def writer(self) -> Iterator[BinaryIO]:
        """The file, opened to be written; it may be visible, in part, before the context ends."""
        with _storage_errors(self.url, "written"):
            self._files.makedirs(self._path.rpartition("/")[0], exist_ok=True)
            with self._files.open(self._path, "wb") as file:
                yield file

    def write(self, content: bytes) -> None:
        """Write the whole file."""
        with self.writer() as file:
            file.write(content)

    def replace(self, new: "Place") -> None:
        """Give this file the content of `new`, at once and by a rename; both must be local."""
        with _storage_errors(self.url, "written"):
            os.replace(new._path, self._path)  # noqa: PTH105 - fsspec's paths are strings

    def names(self) -> tuple[str, ...]:
        """The names of the files in this folder, sorted; none if there is no folder."""
        with _storage_errors(self.url, "read"):
            self._files.invalidate_cache()
            try:
                paths: list[str] = self._files.ls(self._path, detail=False)
            except FileNotFoundError:
                return ()
        return tuple(sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in paths))

    def remove(self) -> None:
        """Remove the file, if there is one."""
        if self.size_bytes() is not None:
            with _storage_errors(self.url, "removed"):
                self._files.rm_file(self._path)


@contextmanager
def _storage_errors(url: str, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise InputError(
            f"{url!r:.200} cannot be {verb}: {cause}",
            hint="look at its name, its permissions and the space left",
        ) from cause
