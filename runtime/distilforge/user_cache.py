"""This user's cache: files that are slow to make and can be made again."""

import os
import stat
import sys
import tempfile
from pathlib import Path

from distilforge.errors import UnavailableError

_HINT = "set XDG_CACHE_HOME to a folder that only this user can write"


def folder(name: str) -> Path:
    """The folder `distilforge/NAME` in the user's cache, which may not exist yet.

    The cache is XDG_CACHE_HOME or ~/.cache on Linux, ~/Library/Caches on macOS and LOCALAPPDATA on Windows. Raises
    UnavailableError if this user has no home folder, or if another user could have written what is in the folder: the
    kernels in it are code, and its benchmark records decide which variant is opened.
    """
    own = _base() / "distilforge"
    for path in (own, own / name):
        _check_private(path)
    return own / name


def replace_file(path: Path, *parts: bytes, prefix: str) -> None:
    """Write `parts` to the file `path` atomically; its folder is made so that only this user can write it.

    The name of the temporary file beside it begins with `prefix`. Raises OSError if it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _base() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches"
    own = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # A relative one would be in the current folder, which may be anybody's; the specification says to ignore it
    return own if own.is_absolute() else _home() / ".cache"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as cause:
        raise UnavailableError(f"there is no folder for this user's cache: {cause}", hint=_HINT) from cause


def _check_private(path: Path) -> None:
    """Raise UnavailableError if users other than this one and root can write the folder `path`."""
    try:
        # Whoever owns a link can let it lead elsewhere at any time
        owners = {path.lstat().st_uid, (status := path.stat()).st_uid}
    except OSError:
        return  # it is absent, or using it fails with the same error
    # Windows has access lists instead, and these modes mean nothing there
    if os.name == "nt":
        return
    for owner in owners - {os.geteuid(), 0}:
        raise UnavailableError(
            f"the cache {str(path)!r} is not trusted: it belongs to the user with the id {owner}, not to "
            f"{os.geteuid()}",
            hint=_HINT,
        )
    if status.st_mode & stat.S_IWOTH:
        raise UnavailableError(
            f"the cache {str(path)!r} is not trusted: its mode {stat.S_IMODE(status.st_mode):04o} lets every user "
            "write it",
            hint=f"look at what is in it, then `chmod o-w {path}`; or {_HINT}",
        )
