"""How requests to an OCI registry carry the credentials of `docker login`.

oras has one way for each kind of registry, and keeps a token that the registry does not take any more.
"""

import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import oras.auth
import oras.container
import requests

from distilforge import json_text

_MOST_BYTES = 1 << 20
# A piece is waited for as a whole, and a server may send a byte a second
_PIECE_BYTES = 64
_LONGEST_SECONDS = 60.0
# What a header may carry; an error about another value would show it
_CREDENTIALS = re.compile(r"[A-Za-z0-9._~+/=-]+")
PLAIN_HOSTS = ("localhost", "127.0.0.1")
"""Docker too speaks plain HTTP to this machine only."""
_BASIC = re.compile(r"(^|,)\s*basic\b", re.IGNORECASE)


class Login(oras.auth.TokenAuth):  # type: ignore[misc]  # oras has no types
    """The credentials for one registry, which says with a refusal whether it wants a token or a password.

    A token is for some actions and some minutes: a registry that refuses one gets a new one.
    """

    def __init__(self, session: requests.Session, *, plain: bool) -> None:
        """`session` makes the requests for tokens, over HTTP if `plain`."""
        super().__init__()
        self.session = _TokenServer(session, plain=plain)
        self.prefix = "http" if plain else "https"
        self._tls_verify = True
        self._scheme = "Bearer"

    def get_auth_header(self) -> dict[str, str]:
        """The header of a request; oras asks for it once there is a token."""
        return {"Authorization": f"{self._scheme} {self.token}"}

    def load_configs(self, container: oras.container.Container, configs: list[str] | None = None) -> None:
        """Read what `docker login` has written; ValueError where that is damaged."""
        try:
            super().load_configs(container, configs)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as cause:
            raise ValueError(
                f"the configuration of `docker login` is damaged ({type(cause).__name__})"
            ) from cause
        kept = getattr(self, "_basic_auth", None)
        if kept:
            # `base64` breaks long lines
            credentials = "".join(str(kept).split())
            if not _CREDENTIALS.fullmatch(credentials):
                raise ValueError("the configuration of `docker login` has credentials that are not in base64")
            self._basic_auth = credentials

    def authenticate_request(
        self, original: requests.Response, headers: dict[str, str], refresh: bool = False
    ) -> tuple[dict[str, str], bool]:
        """The headers for another try after the refusal `original`.

        Raises PermissionError if there are no credentials for the registry, or if it gives no token for them.
        """
        if _BASIC.search(original.headers.get("Www-Authenticate", "")):
            self._scheme, self.token = "Basic", getattr(self, "_basic_auth", None)
            if not self.token:
                raise PermissionError("the registry wants a name and a password, and there are none for it")
            return {**headers, **self.get_auth_header()}, True
        self._scheme = "Bearer"
        try:
            changed, again = super().authenticate_request(original, headers, refresh=True)
        except (AttributeError, KeyError, TypeError) as cause:
            raise PermissionError("the registry refuses without saying who gives tokens for it") from cause
        except ValueError as cause:
            raise PermissionError(f"the registry gives no token that can be read: {cause}") from cause
        if not again:
            raise PermissionError("the registry does not allow it, and gives no token for it")
        return changed, again


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a server of tokens answered, as oras reads it."""

    status_code: int
    """The status of HTTP."""
    content: bytes
    """The body."""

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", errors="replace")

    def json(self) -> dict[str, object]:
        """The object with the token; ValueError for anything else."""
        document = json_text.parse(self.content.decode("utf-8"))
        if not isinstance(document, dict):
            # What it is may be the token
            raise ValueError(f"a token must come in an object, found one of type {type(document).__name__}")
        for name in ("token", "access_token"):
            token = document.get(name)
            if token and not (isinstance(token, str) and _CREDENTIALS.fullmatch(token)):
                raise ValueError(f"its {name} is none that a header may carry")
        return document


class _TokenServer:
    """Makes oras's requests for tokens. The registry names the server, and neither is trusted."""

    def __init__(self, session: requests.Session, *, plain: bool) -> None:
        self._session = session
        self._plain = plain

    def get(self, address: str, **options: object) -> _Answer:
        return self.request("GET", address, **options)

    def request(self, method: str, address: str, **options: object) -> _Answer:
        """ValueError for an answer that is too large, PermissionError for an address where others read passwords."""
        parts = urlsplit(address)
        if parts.scheme.lower() != "https" and not (self._plain and parts.hostname in PLAIN_HOSTS):
            raise PermissionError(
                f"the registry names {address!r:.200} as the place for passwords, where others could read them"
            )
        # Any: the options are those of oras
        with self._session.request(method, address, stream=True, **options) as response:  # type: ignore[arg-type]
            content, begin = bytearray(), time.monotonic()
            for piece in response.iter_content(_PIECE_BYTES):
                content += piece
                if time.monotonic() - begin > _LONGEST_SECONDS:
                    raise ValueError(f"a token took more than {_LONGEST_SECONDS:.0f} seconds")
                if len(content) > _MOST_BYTES:
                    raise ValueError(
                        f"a token came with more than {_MOST_BYTES:,} bytes, the most that are read"
                    )
            return _Answer(status_code=response.status_code, content=bytes(content))
