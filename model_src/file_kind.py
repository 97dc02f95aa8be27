"""What a file of a checkpoint really is, where it is not what its name says. Does not need PyTorch."""

import io
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from model_src.errors import CheckpointError

_LFS_POINTER = b"version https://git-lfs"
_WEB_PAGES = (b"<!doctype html", b"<html")
_ZIP = b"PK\x03\x04"
# How PyTorch before 1.6 begins a file: its magic number, in a pickle of protocol 2
_OLD_PYTORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_SAFETENSORS = re.compile(rb'.{6}\0\0\{ *"', re.DOTALL)
# Globals come first in a pickle of tensors; reading a part bounds the memory
_MOST_PICKLE_BYTES = 1 << 20
_GLOBAL = re.compile(r"[\w.]+ [\w.]+")


def check_is_not_a_stand_in(path: Path) -> None:
    """Raise CheckpointError if a pointer of Git LFS or a web page was saved as `path`, in place of the file."""
    start = _start(path, 512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_LFS_POINTER):
        raise CheckpointError(
            f"{path} is not the file, but a pointer of Git LFS to it",
            hint=f"run `git lfs pull` in {path.parent}, which downloads the file itself",
        )
    if start.startswith(_WEB_PAGES):
        raise CheckpointError(
            f"{path} is a web page",
            hint="download the file itself, not the page that shows it; on the hub, the address of a file has "
            "/resolve/, that of its page /blob/",
        )


def is_pytorch(path: Path) -> bool:
    """Whether `path` is, or was before it was damaged, a file of torch.save."""
    start = _start(path, len(_OLD_PYTORCH))
    if not start.startswith(_ZIP):
        # Not every byte of a file that was cut is there
        return _OLD_PYTORCH.startswith(start)
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.rpartition("/")[2] == "data.pkl" for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return True


def is_safetensors(path: Path) -> bool:
    """Whether `path` begins as safetensors do."""
    return _SAFETENSORS.match(_start(path, 64)) is not None


def has_globals(path: Path) -> bool:
    """Whether `path` is a pickle that names a class or a function, as every one that runs code does."""
    return any(
        operation == "STACK_GLOBAL" or (operation in ("GLOBAL", "INST") and _GLOBAL.fullmatch(str(argument)))
        for operation, argument in _operations(_start(path, _MOST_PICKLE_BYTES))
    )


def unreadable_safetensors(path: Path, cause: Exception) -> CheckpointError:
    """Why `path` could not be read as safetensors, which raised `cause`."""
    if _start(path, 1) and is_pytorch(path):
        return CheckpointError(
            f"{path} is not safetensors, but a PyTorch file", hint="name it pytorch_model.bin"
        )
    return CheckpointError(f"{path} is damaged: {cause}", hint="copy the checkpoint again")


def _operations(content: bytes) -> Iterator[tuple[str, object]]:
    """The operations of a pickle, up to the first byte that is none."""
    try:
        for operation, argument, _ in pickletools.genops(io.BytesIO(content)):
            yield operation.name, argument
    # What pickletools raises for bytes that are not a pickle
    except (ValueError, LookupError, OverflowError):
        return


def _start(path: Path, count: int) -> bytes:
    """The first bytes of a file; none if it cannot be read, which its reader reports."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""
