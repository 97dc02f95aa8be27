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
from distilforge.remote.index import MOST_CHANNELS, MOST_RELEASES
from distilforge.remote.login import Login
from distilforge.urls import without_secrets

MOST_IMAGE_BYTES = 4 << 20
"""The largest manifest of an image, as the specification of the registries recommends."""
IMAGE = "application/vnd.oci.image.manifest.v1+json"
"""The type of an image's manifest."""
_MOST_TAGS_BYTES = 4 << 20
_PIECE_BYTES = 1 << 20
_SECONDS = 60.0
_URL = re.compile(
    r"oci://(?P<host>[A-Za-z0-9.-]+(:\d{1,5})?)/(?P<repository>[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/]*@")
# Docker too speaks plain HTTP to this machine only
_PLAIN_HOSTS = ("localhost", "127.0.0.1")


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
        plain = host.partition(":")[0] in _PLAIN_HOSTS
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

    def blob(self, sha256: str, offset: int) -> Iterator[bytes]:
        """The content of the blob with this digest from the byte `offset` on; nothing of it is checked."""
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"} if offset else {}
        response = self._request(
            "GET", f"{self._repository}/blobs/sha256:{sha256}", headers=headers, allowed=(200, 206)
        )
        # A registry may only have whole blobs
        skipped = offset if response.status_code == 200 else 0
        with self._errors("read"), response:
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
    ) -> requests.Response:
        # Its own retries take minutes, and say nothing
        request = oras.provider.Registry.do_request.__wrapped__
        verb = "read" if method in ("GET", "HEAD") else "written"
        with self._errors(verb):
            response: requests.Response = request(
                self._client, address, method, data=data, headers=dict(headers or {}), stream=True
            )
        if response.status_code in allowed:
            return response
        causes: Mapping[int, type[OSError]] = {
            401: PermissionError,
            403: PermissionError,
            404: FileNotFoundError,
        }
        cause = causes.get(response.status_code, OSError)(response.status_code, str(response.reason)[:80])
        raise InputError(
            f"{self.url!r:.200} cannot be {verb}: the registry answered {response.status_code} {response.reason!s:.80}",
            hint="look at its name, and at `docker login`",
        ) from cause

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
    def _errors(self, verb: str) -> Iterator[None]:
        """Raise what requests and oras raise as InputError. Errors of requests are OSErrors."""
        try:
            yield
        except (OSError, ValueError) as cause:
            raise InputError(
                f"{self.url!r:.200} cannot be {verb}: {without_secrets(str(cause)):.300}",
                hint="look at the address, the network and `docker login`",
            ) from cause


def digest(content: bytes) -> str:
    """How a registry names the manifest `content`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tags(content: bytes) -> list[str]:
    """The tags in a page; ValueError if it is not one."""
    from distilforge import json_text

    document = json_text.parse(content.decode("utf-8"))
    tags = (document.get("tags") or []) if isinstance(document, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError(f"it must answer a list of tags, found {document!r:.80}")
    return tags
