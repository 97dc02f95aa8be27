"""Requests to an OCI registry, with sizes that are bounded and errors of this package.

Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import oras.container
import oras.provider
import requests

from distilforge.errors import InputError, ReleaseError
from distilforge.manifest import FileRecord
from distilforge.remote.index import MOST_CHANNELS, MOST_RELEASES
from distilforge.remote.login import PLAIN_HOSTS, Login
from distilforge.remote.store import REPAIR
from distilforge.urls import without_secrets

MOST_IMAGE_BYTES = 4 << 20
"""The largest manifest of an image, as the specification of the registries recommends."""
IMAGE = "application/vnd.oci.image.manifest.v1+json"
"""The type of an image's manifest."""
_MOST_TAGS_BYTES = 4 << 20
# What came of a piece is lost where a connection breaks in it
_PIECE_BYTES = 64 << 10
_SECONDS = 60.0
_URL = re.compile(
    r"oci://(?P<host>[A-Za-z0-9.-]+(:\d{1,5})?)/(?P<repository>[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/]*@")
_TOTAL = re.compile(r"bytes [-0-9*]+/(?P<total>\d{1,19})")
_NO_SUCH_BYTES = 416


class Registry:
    """One repository of a registry. Credentials are those that `docker login` has written.

    Every method raises InputError if a request fails. Its cause is a FileNotFoundError or a PermissionError where a new
    try would be of no use.
    """

    def __init__(self, url: str) -> None:
        """Raises InputError if `url` is not that of a repository."""
        parts = _URL.fullmatch(url.rstrip("/"))
        if parts is None:
            shown = _CREDENTIALS.sub("***@", url)
            raise InputError(
                f"{shown!r:.200} is not the address of a repository in a registry",
                hint="for example oci://registry.example/models/sentiment, in lower case, without a tag and without "
                "credentials: those of `docker login` are used",
            )
        self.url = url.rstrip("/")
        host = parts["host"]
        plain = host.partition(":")[0] in PLAIN_HOSTS
        self._repository = f"{'http' if plain else 'https'}://{host}/v2/{parts['repository']}"
        self._container = oras.container.Container(f"{host}/{parts['repository']}")
        self._client = oras.provider.Registry(hostname=host, insecure=plain)
        # Without it, a registry that does not answer would be waited for without end
        self._client.session.request = functools.partial(self._client.session.request, timeout=_SECONDS)
        self._client.auth = Login(self._client.session, plain=plain)
        with self._errors("read"):
            self._client.auth.load_configs(self._container)

    def tags(self) -> tuple[str, ...]:
        """All tags; none if there is no repository yet."""
        tags: list[str] = []
        address: str | None = f"{self._repository}/tags/list?n=1000"
        while address is not None:
            response = self._request("GET", address, allowed=(200, 404))
            if response.status_code == 404:
                return ()
            with self._errors("read"):
                content = self._bounded(response, _MOST_TAGS_BYTES)
                page = _tags(content)
            tags += page
            if len(tags) > MOST_RELEASES + MOST_CHANNELS:
                raise ReleaseError(
                    f"{self.url!r:.200} has more than {MOST_RELEASES + MOST_CHANNELS:,} tags, the most that are read",
                    hint="pull one with --channel or --version",
                )
            following = response.links.get("next", {}).get("url")
            # Another host is never asked
            address = (
                f"{self._repository}/tags/list?{following.partition('?')[2]}" if following and page else None
            )
        return tuple(tags)

    def manifest(self, reference: str) -> bytes | None:
        """The manifest with the tag or digest `reference`; None if there is none."""
        response = self._request(
            "GET", f"{self._repository}/manifests/{reference}", headers={"Accept": IMAGE}, allowed=(200, 404)
        )
        if response.status_code == 404:
            return None
        return self._bounded(response, MOST_IMAGE_BYTES)

    def blob(self, name: str, record: FileRecord, offset: int) -> Iterator[bytes]:
        """The content of the blob of the file `name` from the byte `offset` on; its digest is not checked.

        Raises ReleaseError if the registry says that the blob has another size than `record`.
        """
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        address = f"{self._repository}/blobs/sha256:{record.sha256}"
        response = self._request(
            "GET", address, headers=headers, allowed=(200, 206, _NO_SUCH_BYTES), name=name
        )
        size = _size(response, offset)
        if size not in (None, record.bytes):
            response.close()
            raise ReleaseError(
                f"{name!r} of {self.url!r:.200} is damaged: it should have {record.bytes:,} bytes, and has {size:,}",
                hint=REPAIR,
            )
        if response.status_code == _NO_SUCH_BYTES:
            raise self._refused(response, "read", name)
        # A registry may only have whole blobs
        skipped = offset if response.status_code == 200 else 0
        with self._errors("read", name), response:
            for piece in response.iter_content(_PIECE_BYTES):
                rest = piece[skipped:]
                skipped = max(0, skipped - len(piece))
                if rest:
                    yield rest

    def upload(self, content: Path | bytes, sha256: str) -> bool:
        """Bring a file, or bytes, with this digest to the registry, which checks it; False if it was there before."""
        blob = f"{self._repository}/blobs/sha256:{sha256}"
        if self._request("HEAD", blob, allowed=(200, 404)).status_code == 200:
            return False
        started = self._request("POST", f"{self._repository}/blobs/uploads/", allowed=(202,))
        address = urljoin(f"{self._repository}/", started.headers.get("Location", ""))
        address = f"{address}{'&' if '?' in address else '?'}digest=sha256:{sha256}"
        with self._errors("written"):
            # As `oras` does: the request may be sent again with credentials, so it cannot be read from a file once
            data = content if isinstance(content, bytes) else content.read_bytes()
        self._request(
            "PUT", address, headers={"Content-Type": "application/octet-stream"}, allowed=(201,), data=data
        )
        return True

    def put_manifest(self, tag: str, content: bytes) -> str:
        """Make `tag` name the manifest `content`, at once, and return its digest."""
        self._request(
            "PUT",
            f"{self._repository}/manifests/{tag}",
            headers={"Content-Type": IMAGE},
            allowed=(201,),
            data=content,
        )
        return digest(content)

    def delete(self, reference: str) -> None:
        """Remove the manifest with the digest `reference` and its tags, if it is there."""
        response = self._request(
            "DELETE", f"{self._repository}/manifests/{reference}", allowed=(202, 404, 405)
        )
        if response.status_code == 405:
            raise InputError(
                f"{self.url!r:.200} does not allow that anything is removed",
                hint="allow it in the registry's settings, for example REGISTRY_STORAGE_DELETE_ENABLED=true",
            ) from PermissionError(405)

    def _request(
        self,
        method: str,
        address: str,
        *,
        allowed: tuple[int, ...],
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        name: str = "",
    ) -> requests.Response:
        # Its own retries take minutes, and say nothing
        request = oras.provider.Registry.do_request.__wrapped__
        verb = "read" if method in ("GET", "HEAD") else "written"
        with self._errors(verb, name):
            response: requests.Response = request(
                self._client, address, method, data=data, headers=dict(headers or {}), stream=True
            )
        if response.status_code in allowed:
            return response
        raise self._refused(response, verb, name)

    def _refused(self, response: requests.Response, verb: str, name: str) -> InputError:
        """The error for an answer that no request asks for; its cause says whether a new try may help."""
        response.close()
        causes: Mapping[int, type[OSError]] = {
            401: PermissionError,
            403: PermissionError,
            404: FileNotFoundError,
        }
        error = InputError(
            f"{self._named(name)} cannot be {verb}: the registry answered {response.status_code} "
            f"{response.reason!s:.80}",
            hint="look at its name, and at `docker login`",
        )
        error.__cause__ = causes.get(response.status_code, OSError)(
            response.status_code, str(response.reason)[:80]
        )
        return error

    def _bounded(self, response: requests.Response, most_bytes: int) -> bytes:
        content = bytearray()
        with self._errors("read"), response:
            for piece in response.iter_content(_PIECE_BYTES):
                content += piece
                if len(content) > most_bytes:
                    break
        if len(content) > most_bytes:
            raise ReleaseError(
                f"{self.url!r:.200} answered more than {most_bytes:,} bytes, the most that are read",
                hint="look at the address; it may not be a registry",
            )
        return bytes(content)

    @contextmanager
    def _errors(self, verb: str, name: str = "") -> Iterator[None]:
        """Raise what requests and oras raise as InputError. Errors of requests are OSErrors."""
        try:
            yield
        except (OSError, ValueError) as cause:
            raise InputError(
                f"{self._named(name)} cannot be {verb}: {without_secrets(str(cause)):.300}",
                hint="look at the address, the network and `docker login`",
            ) from cause

    def _named(self, name: str) -> str:
        """The file `name` in the words of an error; the repository if that is empty."""
        return f"{name!r:.200} of {self.url!r:.200}" if name else f"{self.url!r:.200}"


def digest(content: bytes) -> str:
    """How a registry names the manifest `content`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _size(response: requests.Response, offset: int) -> int | None:
    """The size of the blob that is read from the byte `offset` on; None if the registry does not say it."""
    said = _TOTAL.fullmatch(response.headers.get("Content-Range", ""))
    if said is not None:
        return int(said["total"])
    if response.status_code == _NO_SUCH_BYTES:
        return offset
    length = response.headers.get("Content-Length", "")
    if response.headers.get("Content-Encoding", "identity") != "identity" or not length.isdecimal():
        return None
    return int(length) + (offset if response.status_code == 206 else 0)


def _tags(content: bytes) -> list[str]:
    """The tags in a page; ValueError if it is not one."""
    from distilforge import json_text

    document = json_text.parse(content.decode("utf-8"))
    tags = (document.get("tags") or []) if isinstance(document, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError(f"it must answer a list of tags, found {document!r:.80}")
    return tags
