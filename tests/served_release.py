"""A release served from a thread of the test's process, and requests to it."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from distilforge.serve.options import ServeOptions
from distilforge.serve.server import address, batch, http_server, listen
from distilforge.serve.service import Service
from distilforge.session import Session

from tests.batched_session import SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response."""

    status: int
    """The status."""
    headers: Mapping[str, str]
    """The headers."""
    body: object
    """The JSON, or the text of a body that is not JSON."""

    @property
    def error(self) -> str:
        """The message of an error."""
        assert isinstance(self.body, dict)
        return str(self.body["error"])


@contextmanager
def served(session: Session, options: ServeOptions | None = None) -> Iterator[str]:
    """The URL of a service with `session`, which stops at the end."""
    used = options or ServeOptions(port=0, max_delay=0.0)
    with listen(used) as listener:
        server = http_server(Service(batch(session, used), used.limits), used)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield address(listener)
        finally:
            server.should_exit = True
            thread.join(SECONDS)
            assert not thread.is_alive()


def get(url: str) -> Reply:
    return _ask(urllib.request.Request(url))


def post(url: str, body: object, **headers: str) -> Reply:
    """POST `body` as JSON, or as it is if it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return _ask(urllib.request.Request(url, content, {"Content-Type": "application/json"} | headers))


def _ask(request: urllib.request.Request) -> Reply:
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return _reply(response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return _reply(error.code, dict(error.headers), error.read())


def _reply(status: int, headers: Mapping[str, str], content: bytes) -> Reply:
    try:
        body: object = json.loads(content)
    except ValueError:
        body = content.decode()
    return Reply(status=status, headers={name.lower(): value for name, value in headers.items()}, body=body)
