"""A registry that wants tokens, as those of Docker Hub and Harbor do: a front for one that wants nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import requests


@dataclass
class Front:
    """The state of the front."""

    behind: str
    """The address of the registry behind it."""
    url: str = ""
    """Its own address, as a store's URL."""
    tokens: dict[str, str] = field(default_factory=dict)
    """What each token that is valid allows: `pull`, or `pull,push`."""
    expires: bool = False
    """Whether a token is valid for ten requests only."""
    uses: int = 0
    """The requests with the newest token."""


@contextmanager
def token_front(behind: str) -> Iterator[Front]:
    """A front for the registry `behind`, oci://HOST:PORT, that gives a token to anybody."""
    front = Front(behind=behind.replace("oci://", "http://"))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            _answer(front, self)

        def do_HEAD(self) -> None:
            _answer(front, self)

        def do_POST(self) -> None:
            _answer(front, self)

        def do_PUT(self) -> None:
            _answer(front, self)

        def do_DELETE(self) -> None:
            _answer(front, self)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    front.url = f"oci://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()


def _answer(front: Front, request: BaseHTTPRequestHandler) -> None:
    body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
    if request.path.startswith("/token"):
        _give_token(front, request)
        return
    action = "pull" if request.command in ("GET", "HEAD") else "pull,push"
    allowed = front.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "), "")
    front.uses += 1
    if action not in allowed or (front.expires and front.uses > 10):
        realm = f"{front.url.replace('oci://', 'http://')}/token"
        challenge = f'Bearer realm="{realm}",service="front",scope="repository:any:{action}"'
        _send(request, 401, {"Www-Authenticate": challenge}, b"")
        return
    headers = {name: value for name, value in request.headers.items() if name != "Authorization"}
    answer = requests.request(
        request.command, f"{front.behind}{request.path}", headers=headers, data=body, timeout=60
    )
    names = ("Content-Type", "Location", "Link")
    _send(
        request,
        answer.status_code,
        {n: answer.headers[n] for n in names if n in answer.headers},
        answer.content,
    )


def _give_token(front: Front, request: BaseHTTPRequestHandler) -> None:
    (scope,) = parse_qs(urlsplit(request.path).query)["scope"]
    token = f"token-{len(front.tokens)}"
    front.tokens[token] = scope.rpartition(":")[2]
    front.uses = 0
    _send(request, 200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode())


def _send(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(content))}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content)
