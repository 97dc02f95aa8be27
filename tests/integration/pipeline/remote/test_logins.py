"""Registries that want a password with each request, or a token for each action, take what `docker login` has kept."""

import base64
import json
from pathlib import Path

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
