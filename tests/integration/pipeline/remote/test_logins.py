"""Registries that want a password with each request, or a token for each action, take what `docker login` has kept."""

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from distilforge.errors import InputError

from tests.store_servers import LOGIN, registry_server, why_no_registry
from tests.stores import Shop
from tests.token_front import token_front


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    if reason := why_no_registry():
        pytest.skip(reason)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return tmp_path / "home"


def log_in(home: Path, url: str, name: str, password: str) -> None:
    """What `docker login` writes."""
    (home / ".docker").mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{name}:{password}".encode()).decode()
    config = {"auths": {url.removeprefix("oci://"): {"auth": auth}}}
    (home / ".docker" / "config.json").write_text(json.dumps(config))


def test_a_password(tmp_path: Path, home: Path) -> None:
    with registry_server(tmp_path, login=True) as url:
        shop = Shop(url=f"{url}/models/small", folder=tmp_path)
        with pytest.raises(InputError, match="the registry wants a name and a password"):
            shop.pull()
        log_in(home, url, LOGIN[0], "wrong")
        with pytest.raises(InputError, match="answered 401 Unauthorized"):
            shop.pull()
        log_in(home, url, *LOGIN)
        version = shop.push_new(1)
        assert shop.pull().version == version
    assert not shop.said or all(" MB to " in line for line in shop.said), (
        "a wrong login is no matter of new tries"
    )


@pytest.mark.parametrize("expires", [False, True])
def test_tokens_for_one_action_and_for_a_while(
    registry: tuple[str, Path], tmp_path: Path, expires: bool
) -> None:
    with token_front(registry[0]) as front:
        front.expires = expires
        shop = Shop(url=f"{front.url}/models/tokens-{expires}".lower(), folder=tmp_path)
        versions = [shop.push_new(number) for number in range(2)]
        assert shop.publisher().promote(versions[0], "stable").version == versions[0]
        assert shop.pull(channel="stable").version == versions[0]
        assert (len(front.tokens) > 10) == expires


@contextmanager
def refusing(header: str, token: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A registry that refuses with `header`, in which URL stands for its own address, and answers `token` there."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/token"):
                with suppress(ConnectionError):
                    token(self)
                return
            self.send_response(401)
            self.send_header("Www-Authenticate", header.replace("URL", address))
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address.replace("http", "oci")
    finally:
        server.shutdown()
        server.server_close()


def a_list(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"[]")


def without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


def bomb(handler: BaseHTTPRequestHandler) -> None:
    content = gzip.compress(b" " * (64 << 20))
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


TOKEN = 'Bearer realm="URL/token",service="a"'


@pytest.mark.parametrize(
    ("header", "token", "message"),
    [
        ("Bearer", a_list, "gives no token for it|without saying who gives tokens"),
        ('Bearer realm=""', a_list, "gives no token for it|without saying who gives tokens"),
        ("nonsense", a_list, "gives no token for it|without saying who gives tokens"),
        (TOKEN, a_list, "a token must come in an object, found one of type list"),
        (TOKEN, without_end, "a token came with more than 1,048,576 bytes"),
        (TOKEN, bomb, "a token came with more than 1,048,576 bytes"),
    ],
)
@pytest.mark.parametrize("logged_in", [False, True])
def test_a_refusal_that_is_not_as_it_should_be(
    tmp_path: Path,
    home: Path,
    header: str,
    token: Callable[[BaseHTTPRequestHandler], None],
    message: str,
    logged_in: bool,
) -> None:
    with refusing(header, token) as url:
        if logged_in:
            log_in(home, url, "a name", "a password")
        with pytest.raises(InputError, match=message):
            Shop(url=f"{url}/models/small", folder=tmp_path).pull()


@pytest.mark.parametrize("content", ["[]", "{", "[" * 5000 + "]" * 5000])
def test_a_damaged_configuration(tmp_path: Path, home: Path, content: str) -> None:
    (home / ".docker").mkdir(parents=True)
    (home / ".docker" / "config.json").write_text(content)
    with pytest.raises(InputError, match="the configuration of `docker login` is damaged"):
        Shop(url="oci://127.0.0.1:1/models/small", folder=tmp_path).pull()


@pytest.mark.parametrize(
    ("plain", "realm"),
    [
        (False, "http://127.0.0.1:1/token"),
        # Of a registry on this machine
        (True, "http://192.0.2.1/token"),
    ],
)
def test_a_password_is_not_sent_where_others_could_read_it(plain: bool, realm: str) -> None:
    from distilforge.remote.login import Login
    from requests import Response, Session

    login = Login(Session(), plain=plain)
    login._basic_auth = "bmFtZTpwYXNzd29yZA=="
    refusal = Response()
    refusal.status_code = 401
    refusal.headers["Www-Authenticate"] = f'Bearer realm="{realm}",service="a"'
    with pytest.raises(PermissionError, match=rf"names '{re.escape(realm)}' as the place for passwords"):
        login.authenticate_request(refusal, {})


def test_credentials_are_never_shown(tmp_path: Path, home: Path) -> None:
    def with_a_line_end(handler: BaseHTTPRequestHandler) -> None:
        content = json.dumps({"token": "c2VjcmV0\nLXRva2Vu"}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with refusing(TOKEN, with_a_line_end) as url:
        with pytest.raises(InputError, match="its token is none that a header may carry") as caught:
            Shop(url=f"{url}/models/small", folder=tmp_path).pull()
        assert "c2VjcmV0" not in str(caught.value)
        log_in(home, url, "a name", "a password")
        config = home / ".docker" / "config.json"
        auth = json.loads(config.read_text())["auths"][url.removeprefix("oci://")]["auth"]
        config.write_text(config.read_text().replace(auth, f"{auth[:8]}\u00e4{auth[8:]}"))
        with pytest.raises(InputError, match="credentials that are not in base64") as caught:
            Shop(url=f"{url}/models/small", folder=tmp_path).pull()
        assert auth[:8] not in str(caught.value)


def test_credentials_with_line_ends_are_joined(tmp_path: Path, home: Path) -> None:
    with registry_server(tmp_path, login=True) as url:
        log_in(home, url, *LOGIN)
        config = home / ".docker" / "config.json"
        auth = json.loads(config.read_text())["auths"][url.removeprefix("oci://")]["auth"]
        config.write_text(config.read_text().replace(auth, f"{auth[:4]}\\n{auth[4:]}\\n"))
        shop = Shop(url=f"{url}/models/small", folder=tmp_path)
        assert shop.push_new(1) == shop.pull().version
