"""Files on any file system that fsspec knows, which need neither a rename nor a lock."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from distilforge.errors import InputError, UnavailableError
from distilforge.urls import in_lower_case, name_of, protocols, without_secrets

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Statuses of web servers that do not have a file
_ABSENT = (404, 410)
# Statuses of web servers that want credentials, or that let nobody have a file
_DENIED = (401, 403)
_WHOLE_FILES = "the server sends whole files only, and a large file is read in pieces"
# After so long without a byte a web server counts as gone
_SILENCE_SECONDS = 60.0
_OBJECT_STORES = {"s3", "gs", "abfs", "oci", "oss"}


class Place:
    """A file or folder at a URL, or at a path of this machine."""

    def __init__(self, url: str, place: "tuple[fsspec.AbstractFileSystem, str] | None" = None) -> None:
        """`place` is the file system and the path of `url`, if they are known.

        Raises UnavailableError if the URL's protocol needs a package that is not installed, and InputError if nothing
        can be opened there.
        """
        url = in_lower_case(url)
        self.file_system, self.path = place or _file_system(url)
        """The file system, and the path on it."""
        self.is_local = isinstance(self.file_system, LocalFileSystem)
        """Whether it is on a file system of this machine, where a rename is atomic."""
        if self.is_local:
            self.path = _without_dots(self.path)
        self.is_on_web = "https" in self.file_system.protocol
        """Whether it is on a web server."""
        if self.is_on_web and "#" in self.path:
            raise InputError(
                f"{without_secrets(url)!r:.200} has a '#', and what follows it never reaches a server",
                hint="leave it out; in the name of a file or folder it is %23",
            )
        self.address: str = self.file_system.unstrip_protocol(self.path) if self.is_local else url
        """The URL with its credentials, for another process; it is not to be shown or kept."""
        self.url = without_secrets(self.address)
        """The URL without credentials."""
        self.name = name_of(self.path)
        """The file's name, whose suffix says its format."""

    def resolved(self) -> str:
        """The URL without credentials, and on this machine without links and dots in the path of its folder.

        Two spellings of the path of one file have the same one. A file that is a link is another file than its target.
        """
        if not self.is_local:
            return self.url
        path = Path(self.path)
        return str(self.file_system.unstrip_protocol(str(Path(os.path.realpath(path.parent)) / path.name)))

    def inside(self, name: str) -> "Place":
        """The file `name` in this folder."""
        return self._neighbour(f"/{name}")

    def beside(self, suffix: str) -> "Place":
        """The file or folder with this name and `suffix` after it."""
        return self._neighbour(suffix)

    def is_link(self) -> bool:
        """Whether it is a link on a file system of this machine."""
        with storage_errors(self.url, "read"):
            return self.is_local and Path(self.path).is_symlink()

    def kind(self) -> str:
        """What is there: "file", "directory", "other" for a pipe or a device, or "" for nothing."""
        return str((self._info() or {}).get("type", ""))

    def refuse_pipe(self) -> None:
        """Raise InputError for a pipe or a device of this machine, of which a read may never end."""
        if self.is_local and self.kind() == "other":
            raise InputError(
                f"{self.url!r:.300} is a pipe or a device, and has to be a file",
                hint="put a file in its place",
            )

    def is_same(self, other: "Place") -> bool:
        """Whether both are the same file, by their paths, or on this machine by a link too."""
        # fsspec has one object for each file system, however its protocol is spelled
        if self.file_system is other.file_system and self.path == other.path:
            return True
        # OSError: one of them does not exist
        with suppress(OSError):
            return self.is_local and other.is_local and Path(self.path).samefile(other.path)
        return False

    def size_bytes(self) -> int | None:
        """The file's size; None if there is no file, or if a web server does not tell its size."""
        info = self._info() or {}
        size = info.get("size")
        return size if info.get("type") == "file" and isinstance(size, int) else None

    def modified(self) -> str:
        """When the file was changed, or a tag of its content; empty if the file system says neither."""
        with storage_errors(self.url, "read"):
            try:
                return str(self.file_system.modified(self.path).isoformat())
            except NotImplementedError:
                return str(self.file_system.info(self.path).get("ETag", ""))

    @contextmanager
    def reader(self, *, from_start_to_end: bool = False) -> Iterator[BinaryIO]:
        """The file, opened to be read; InputError for whatever the file system refuses.

        Some web servers only have whole files: of those, `from_start_to_end` reads one whose pieces are read in order.
        """
        # To other file systems the option means something else
        options = {"block_size": 0} if from_start_to_end and self.is_on_web else {}
        with storage_errors(self.url, "read"):
            try:
                opened: BinaryIO = self.file_system.open(self.path, "rb", **options)
            except FileNotFoundError as absent:
                raise self._reason(absent) from None
        with storage_errors(self.url, "read", OSError), opened:
            yield opened if self.is_local else cast("BinaryIO", io.BufferedReader(_StorageFile(opened)))

    def read(self) -> bytes | None:
        """The file's content; None if there is no file."""
        if self.size_bytes() is None:
            return None
        with self.reader() as file:
            return file.read()

    def read_at_most(self, most_bytes: int) -> bytes | None:
        """The file's content, or its first `most_bytes` + 1 bytes if it has more; None if there is no file."""
        if self.is_on_web:
            # A server that does not know ranges sends all that it has, and `cat_file` keeps all that is sent
            if self._info() is None:
                return None
            with self.reader(from_start_to_end=True) as file:
                return file.read(most_bytes + 1)
        with storage_errors(self.url, "read"):
            self.file_system.invalidate_cache()
            try:
                content: bytes = self.file_system.cat_file(self.path, start=0, end=most_bytes + 1)
            except FileNotFoundError:
                return None
            except OSError:
                # S3 has no range of an empty object
                if self.size_bytes() != 0:
                    raise
                content = b""
        return content

    @contextmanager
    def writer(self) -> Iterator[BinaryIO]:
        """The new file, opened to be written; it may be visible, in part, before the context ends."""
        with storage_errors(self.url, "written"):
            self.make_parent()
            if self.is_local:
                # Somebody may have put a link there, to a file that must not be written
                Path(self.path).unlink(missing_ok=True)
            opened: BinaryIO = self.file_system.open(self.path, "xb" if self.is_local else "wb")
        with storage_errors(self.url, "written", OSError), opened:
            yield opened

    def make_parent(self) -> None:
        """Make the folder that the file is in; object stores have none, and would get a bucket of a mistyped name."""
        protocols = self.file_system.protocol
        if not _OBJECT_STORES & set((protocols,) if isinstance(protocols, str) else protocols):
            self.file_system.makedirs(self.path.rpartition("/")[0], exist_ok=True)

    def write(self, content: bytes) -> None:
        """Write the whole file."""
        with self.writer() as file:
            file.write(content)

    def replace(self, new: "Place") -> None:
        """Give this file the content of `new`, at once and by a rename; both must be local."""
        with storage_errors(self.url, "written"):
            Path(new.path).replace(self.path)

    def names(self) -> tuple[str, ...]:
        """The names of the files in this folder, sorted; none if there is no folder."""
        with storage_errors(self.url, "read"):
            self.file_system.invalidate_cache()
            try:
                paths: list[str] = self.file_system.ls(self.path, detail=False)
            except FileNotFoundError:
                return ()
        return tuple(sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in paths))

    def remove(self) -> None:
        """Remove the file, if there is one."""
        if self.size_bytes() is not None:
            with storage_errors(self.url, "removed"):
                self.file_system.rm_file(self.path)

    def remove_folder(self) -> None:
        """Remove the folder and everything in it, if there is one."""
        with storage_errors(self.url, "removed"):
            self.file_system.invalidate_cache()
            if self.file_system.exists(self.path):
                self.file_system.rm(self.path, recursive=True)

    def _info(self) -> dict[str, object] | None:
        """What the file system says of it; None if nothing is there."""
        with storage_errors(self.url, "read"):
            # Another process or machine may have changed what fsspec has listed
            self.file_system.invalidate_cache()
            try:
                info: dict[str, object] = self.file_system.info(self.path)
            except FileNotFoundError as absent:
                reason = self._reason(absent)
                if reason is not absent:
                    raise reason from None
                return None
        return info

    def _reason(self, absent: FileNotFoundError) -> BaseException:
        """Why a file cannot be read: fsspec calls it absent whatever a web server answers, and if it does not."""
        cause = absent.__cause__
        if self.is_on_web and cause and getattr(cause, "status", None) not in _ABSENT:
            return cause
        return absent

    def _neighbour(self, suffix: str) -> "Place":
        address, path = (self._with_suffix(text, suffix) for text in (self.address, self.path))
        return Place(address, (self.file_system, path))

    def _with_suffix(self, text: str, suffix: str) -> str:
        # On the web, what follows the question mark is no part of the path, and may be a signature
        path, mark, query = text.partition("?") if self.is_on_web else (text, "", "")
        return f"{path.rstrip('/') if mark else path}{suffix}{mark}{query}"


class StorageReadError(OSError):
    """A file that is not on this machine cannot be read any further; the message may have the URL's credentials."""


class _StorageFile(io.RawIOBase):
    """A file of any file system, whose errors are OSErrors; those of archives and of networks have others."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        try:
            content = self._file.read(len(view))
        except Exception as cause:
            # fsspec's words are about its own options
            whole = "support range requests" in str(cause)
            raise StorageReadError(_WHOLE_FILES if whole else f"{type(cause).__name__}: {cause}") from cause
        view[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _file_system(url: str) -> "tuple[fsspec.AbstractFileSystem, str]":
    shown = without_secrets(url)
    try:
        options = _web_options(url)
        files, path = _chain_or_file(url, options) if "::" in url else fsspec.core.url_to_fs(url, **options)
    except ImportError as cause:
        raise UnavailableError(
            f"{shown!r:.200} needs a package that is not installed: {cause}",
            hint="install the package that fsspec names for this protocol, such as s3fs for s3://",
        ) from cause
    # Every file system has errors of its own; that of zip archives opens the archive here
    except Exception as cause:
        raise InputError(
            f"{shown!r:.200} cannot be opened: {without_secrets(str(cause))}",
            hint="look at the URL and its protocol"
            + (f"; a new file that is really called so is ./{shown}" if "::" in url else ""),
        ) from cause
    return files, path


def _without_dots(path: str) -> str:
    """The path of this machine without `..`.

    A folder that does not exist has no parent, until it is made for a file in it: the path would then be another one.
    """
    if ".." not in Path(path).parts:
        return path
    folder, name = os.path.split(path)
    return str(Path(os.path.realpath(folder)) / name) if name not in ("", "..") else os.path.realpath(path)


def _web_options(url: str) -> dict[str, object]:
    """What fsspec is told of each protocol of the web in `url`: a request may take long while something arrives."""
    web = protocols(url) & {"http", "https"}
    # Without aiohttp, fsspec says what has to be installed
    if not web or find_spec("aiohttp") is None:
        return {}
    import aiohttp

    # By default the whole of a file must arrive within five minutes
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE_SECONDS, sock_read=_SILENCE_SECONDS)
    return {protocol: {"client_kwargs": {"timeout": timeout}} for protocol in web}


def _chain_or_file(url: str, options: dict[str, object]) -> "tuple[fsspec.AbstractFileSystem, str]":
    """What a URL with `::` names: a chain of URLs, or a file of this machine with such a name."""
    local = LocalFileSystem()
    path = local.unstrip_protocol(url).removeprefix("file://")
    # Path.exists raises OSError for a name that is too long, as that of a chain may be
    if os.path.exists(path):  # noqa: PTH110
        return local, path
    first, first_path = fsspec.core.url_to_fs(url, **options)
    # No chain begins with a path of this machine: fsspec would open the part before the `::`, and forget the rest
    return (local, path) if isinstance(first, LocalFileSystem) else (first, first_path)


@contextmanager
def storage_errors(url: str, verb: str, errors: type[Exception] = Exception) -> Iterator[None]:
    """Raise `errors` as InputError.

    Every file system has errors of its own, so that all are caught where only calls of fsspec are inside.
    """
    try:
        yield
    except errors as cause:
        # Some errors, such as that of a time that is over, have no text
        text = without_secrets(str(cause)) or type(cause).__name__
        # Such as NoCredentialsError of botocore, which is no PermissionError
        is_denied = "Credential" in type(cause).__name__ or getattr(cause, "status", None) in _DENIED
        denied = PermissionError(text) if is_denied else None
        raise InputError(f"{url!r:.200} cannot be {verb}: {text}", hint=_hint(url, denied)) from (
            denied or cause
        )


def _hint(url: str, denied: PermissionError | None) -> str:
    if denied is not None and not url.startswith(("http://", "https://")):
        return "log in, or set the credentials that the store wants, as with `aws configure` for s3://"
    if denied is not None:
        return (
            "ask who runs the server for access; https://USER:PASSWORD@HOST/... sends a name and a password"
        )
    if url.startswith(("http://", "https://")):
        return "look at the address and the server, or download the file"
    return "look at its name, its permissions and the space left"
