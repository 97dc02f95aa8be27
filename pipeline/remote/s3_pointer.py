"""A pointer in S3: the store itself compares, by If-Match and If-None-Match.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from distilforge.storage import Place, storage_errors

_CONFLICTS = (409, 412)
"""Another writer was faster: at the same moment, and before."""


class S3Pointer:
    """An object whose tag says which one it is."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def read(self, most_bytes: int) -> tuple[bytes | None, str]:
        """The content, and the object's tag.

        The tag is read first: if the object changes before it is read, `replace` refuses the tag.
        """
        files = self._place.file_system
        with storage_errors(self._place.url, "read"):
            files.invalidate_cache()
            try:
                info = files.info(self._place.path)
            except FileNotFoundError:
                return None, ""
        # Objects behind the name and a slash look like a folder, which has no tag
        if info["type"] != "file":
            return None, ""
        return self._place.read_at_most(most_bytes), str(info["ETag"])

    def replace(self, content: bytes, token: str) -> bool:
        """Write the object if it still has the tag `token`, or if there is none and `token` is empty."""
        condition = {"IfMatch": token} if token else {"IfNoneMatch": "*"}
        with storage_errors(self._place.url, "written"):
            try:
                self._place.file_system.pipe_file(self._place.path, content, **condition)
            except OSError as cause:
                # An object that was removed meanwhile does not match either
                if _status(cause) in _CONFLICTS or (token and isinstance(cause, FileNotFoundError)):
                    return False
                raise
        return True


def _status(error: BaseException | None) -> int | None:
    """The status of the answer that `error` or one of its causes is about."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status if isinstance(status, int) else None
        error = error.__cause__
    return None
