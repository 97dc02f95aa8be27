"""Stores with servers of their own, where these are installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store_servers import BUCKET, registry_server, s3_server, why_no_registry, why_no_s3
from tests.stores import Shop


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environment:
        yield dict(environment)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    if reason := why_no_registry():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("registry")
    with registry_server(folder) as url:
        yield url, folder


@pytest.fixture
def s3_shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    if reason := why_no_s3():
        pytest.skip(reason)
    for name, value in request.getfixturevalue("s3").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Shop(url=f"s3://{BUCKET}/{tmp_path.name}", folder=tmp_path)


@pytest.fixture
def oci_shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    if reason := why_no_registry():
        pytest.skip(reason)
    url, _ = request.getfixturevalue("registry")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Some of pytest's names end with an underscore, and those of repositories must not
    return Shop(url=f"{url}/models/t{tmp_path.name.strip('_')}".lower(), folder=tmp_path)


@pytest.fixture(params=["s3", "oci"])
def shop(request: pytest.FixtureRequest) -> Shop:
    shop: Shop = request.getfixturevalue(f"{request.param}_shop")
    return shop
