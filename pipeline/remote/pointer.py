"""The one file of a store that changes: readers see the old one or the new one, and of two writers one wins."""

from typing import Protocol

from distilforge.storage import Place


class Pointer(Protocol):
    """A small file that is replaced only by those who saw what they replace."""

    def read(self, most_bytes: int) -> tuple[bytes | None, str]:
        """The content and a token for it; None if there is no file. More than `most_bytes` are cut after one more."""

    def replace(self, content: bytes, token: str) -> bool:
        """Replace what has `token` by `content`, at once; False if another writer was faster."""


def find_pointer(place: Place) -> Pointer:
    """The pointer at `place`, by what its file system can do; InputError for a pipe or a device."""
    place.refuse_pipe()
    if place.is_local:
        from pipeline.remote.local_pointer import LocalPointer

        return LocalPointer(place)
    protocols = place.file_system.protocol
    if "s3" in ((protocols,) if isinstance(protocols, str) else protocols):
        from pipeline.remote.s3_pointer import S3Pointer

        return S3Pointer(place)
    from pipeline.remote.locked_pointer import LockedPointer

    return LockedPointer(place)
