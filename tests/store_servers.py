"""Stores on this machine: an S3 server of moto, and Debian's docker-registry. What is not installed is a reason."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

BUCKET = "models"
_REGISTRY = """
version: 0.1
storage:
  filesystem:
    rootdirectory: {root}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
log:
  level: error
  accesslog:
    disabled: true
"""
_WITH_LOGIN = """
auth:
  htpasswd:
    realm: Registry Realm
    path: {path}
"""
LOGIN = ("me", "s3cret")
"""The name and the password of a registry that wants them."""
_HTPASSWD = "me:$2b$12$lYFWFff3yaxiy4YzywpGoOVor9R9qGq.nVIzeS5uKbTU3yf/dSnXq"
_START_SECONDS = 60.0


def absent(*packages: str) -> str:
    """Why tests with these packages are skipped; empty if all of them are installed."""
    missing = [package for package in packages if find_spec(package) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def why_no_s3() -> str:
    """Why there is no S3 server; empty if there can be one."""
    return absent("moto", "s3fs", "flask")


def why_no_registry() -> str:
    """Why there is no registry; empty if there can be one."""
    return absent("oras") or ("" if shutil.which("docker-registry") else "no docker-registry on this machine")


@contextmanager
def s3_server(folder: Path) -> Iterator[Mapping[str, str]]:
    """An S3 server with an empty bucket, and the environment in which s3fs talks to it."""
    port = _free_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _server(command, f"http://127.0.0.1:{port}/moto-api/", folder / "s3.log"):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
        yield environment


@contextmanager
def registry_server(folder: Path, *, login: bool = False) -> Iterator[str]:
    """An empty registry with its files in `folder`, and the URL of its root; with `login` it wants LOGIN."""
    port = _free_port()
    configuration = folder / "registry.yml"
    text = _REGISTRY.format(root=folder / "registry", port=port)
    if login:
        (folder / "htpasswd").write_text(f"{_HTPASSWD}\n")
        text += _WITH_LOGIN.format(path=folder / "htpasswd")
    configuration.write_text(text)
    command = ["docker-registry", "serve", str(configuration)]
    # Without a login, its root too is refused
    with _server(command, f"http://127.0.0.1:{port}/{'' if login else 'v2/'}", folder / "registry.log"):
        yield f"oci://127.0.0.1:{port}"


@contextmanager
def _server(command: list[str], address: str, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ})
    try:
        _wait(process, address, log)
        yield
    finally:
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    ends = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (OSError, urllib.error.URLError):
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"{process.args!r} does not answer: {log.read_text()[-1000:]}") from None
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
