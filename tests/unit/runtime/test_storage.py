"""Files behind URLs, and what cannot be opened."""

import os
import socket
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest
from distilforge.errors import InputError, UnavailableError
from distilforge.remote.retries import is_final
from distilforge.storage import Place, storage_errors
from distilforge.urls import protocols


def test_a_path_and_its_url_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Place("a.jsonl").url == Place(f"file://{tmp_path}/a.jsonl").url == f"file://{tmp_path}/a.jsonl"
    assert Place("a.jsonl").is_local
    assert not Place("memory://a.jsonl").is_local


def test_names_with_spaces_stay(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "a folder" / "b c.jsonl"))
    place.write(b"content")
    assert (tmp_path / "a folder" / "b c.jsonl").read_bytes() == b"content"
    assert place.beside(".run").inside("d e").url.endswith("b c.jsonl.run/d e")
    assert Place(place.url).size_bytes() == 7


@pytest.mark.parametrize("name", ["reviews::b.csv", "a::b.csv", "zip::b.csv", "memory::b.csv"])
def test_a_file_whose_name_looks_like_a_chain(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"content")
    for url in (name, f"./{name}", str(tmp_path / name), f"file://{tmp_path}/{name}", Place(name).address):
        place = Place(url)
        assert (place.url, place.name, place.read()) == (f"file://{tmp_path}/{name}", name, b"content")


def test_a_path_that_looks_like_a_chain_is_written_as_it_is_called(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "a::b" / "c::d.csv"))
    place.write(b"content")
    assert (tmp_path / "a::b" / "c::d.csv").read_bytes() == b"content"


def test_a_chain_stays_a_chain(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.jsonl", b"content")
    assert Place(f"zip://a.jsonl::{tmp_path}/b.zip").read() == b"content"
    assert Place(f"simplecache::zip://a.jsonl::{tmp_path}/b.zip").read() == b"content"


@pytest.mark.parametrize("root", ["memory://bulk", "FOLDER"])
def test_what_is_absent(root: str, tmp_path: Path) -> None:
    place = Place(root.replace("FOLDER", str(tmp_path))).inside("absent")
    assert (place.size_bytes(), place.read(), place.names()) == (None, None, ())
    place.remove()
    with pytest.raises(InputError, match="absent' cannot be read"), place.reader():
        pass


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert Place(str(tmp_path)).size_bytes() is None
    with pytest.raises(InputError, match="cannot be written"):
        Place(str(tmp_path)).write(b"")


def test_a_protocol_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match=r"nothing://a\.jsonl"):
        Place("nothing://a.jsonl")


def test_a_protocol_without_its_package_names_it() -> None:
    with pytest.raises(UnavailableError, match="needs a package that is not installed") as raised:
        Place("oss://bucket/a.jsonl")
    assert "s3fs" in raised.value.hint


def test_the_case_of_a_protocol_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "A.jsonl").write_bytes(b"content")
    place = Place(f"FILE://{tmp_path}/A.jsonl")
    assert (place.url, place.read()) == (f"file://{tmp_path}/A.jsonl", b"content")
    with zipfile.ZipFile(tmp_path / "B.zip", "w") as archive:
        archive.writestr("A.jsonl", b"zipped")
    assert Place(f"Zip://A.jsonl::File://{tmp_path}/B.zip").read() == b"zipped"
    assert Place("MEMORY://Bulk/A.jsonl").address == "memory://Bulk/A.jsonl"


def test_credentials_stay_out_of_errors() -> None:
    with pytest.raises((InputError, UnavailableError)) as raised:
        Place("nothing://me:secret@host/a.jsonl")
    assert "secret" not in str(raised.value)


def test_credentials_are_kept_for_another_process() -> None:
    place = Place("https://me:secret@host/a.jsonl?sig=secret", (fsspec.filesystem("memory"), "/a.jsonl"))
    assert place.address == "https://me:secret@host/a.jsonl?sig=secret"
    assert place.url == "https://***@host/a.jsonl?***"
    assert "secret" not in place.beside(".run").inside("job.json").url


@pytest.mark.parametrize("name", ["a\0b.jsonl", "x" * 5_000 + ".jsonl"])
def test_a_name_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    place = Place(str(tmp_path / name))
    for ask in (place.size_bytes, place.names, place.remove, place.read):
        with pytest.raises(InputError, match="cannot be"):
            ask()
    for is_there in (place.is_link, place.kind):
        with suppress(InputError):
            assert not is_there()
    with pytest.raises(InputError, match="cannot be written"):
        place.write(b"")


def test_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    kinds = {"a.jsonl": "file", "folder": "directory", "pipe": "other", "link": "other", "absent": ""}
    assert {name: Place(str(tmp_path / name)).kind() for name in kinds} == kinds


class _Refusing(BaseHTTPRequestHandler):
    """Answers with the status that the path names, and without a length if it is 200."""

    def do_HEAD(self) -> None:
        self.send_response(int(self.path.strip("/").partition(".")[0]))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a web server."""
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as web:
        Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_address[1]}"
        web.shutdown()


class _Whole(BaseHTTPRequestHandler):
    """Sends a whole file of 12 MB, whatever piece is asked for."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(12 << 20))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        with suppress(ConnectionError):  # the client has what it wants
            self.wfile.write(bytes(12 << 20))

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_large_file_of_a_server_that_sends_whole_files_only() -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Whole) as web:
        Thread(target=web.serve_forever, daemon=True).start()
        place = Place(f"http://127.0.0.1:{web.server_address[1]}/a.jsonl")
        with place.reader() as file:
            assert file.read(1 << 20) == bytes(1 << 20)
        with (
            pytest.raises(InputError, match="the server sends whole files only") as raised,
            place.reader() as file,
        ):
            file.read()
        web.shutdown()
    assert "download the file" in raised.value.hint


def test_no_more_is_read_of_a_server_that_sends_whole_files_only() -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Whole) as web:
        Thread(target=web.serve_forever, daemon=True).start()
        place = Place(f"http://127.0.0.1:{web.server_address[1]}/index.json")
        assert place.read_at_most(1 << 20) == bytes((1 << 20) + 1)
        web.shutdown()


@pytest.mark.parametrize("folder", ["shop", "shop/"])
def test_the_query_of_a_web_address_stays_behind_the_path(folder: str) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    place = Place(f"https://host/{folder}?sig=a/b").inside("index.json").beside(".run")
    assert place.address == place.path == "https://host/shop/index.json.run?sig=a/b"
    assert Place("memory://shop?/a").inside("b").path == "/shop?/a/b"


@pytest.mark.parametrize("url", ["https://host/shop#1", "https://host/texts.jsonl?sig=secret#top"])
def test_a_fragment_of_a_web_address_is_refused(url: str, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    with pytest.raises(InputError, match="has a '#'") as raised:
        Place(url)
    assert "%23" in raised.value.hint
    assert "secret" not in str(raised.value)
    assert Place("https://host/shop%231").inside("a").address == "https://host/shop%231/a"
    assert Place(str(tmp_path / "texts#1.jsonl")).name == "texts#1.jsonl"


@pytest.mark.parametrize("status", [404, 410])
def test_a_web_server_says_what_is_absent(status: int, server: str) -> None:
    place = Place(f"{server}/{status}.jsonl")
    assert (place.size_bytes(), place.kind(), place.read()) == (None, "", None)
    assert place.read_at_most(10) is None


def opened(place: Place) -> bytes:
    """What is read of a file whose size nobody asked for before."""
    with place.reader() as file:
        return file.read()


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_web_server_that_refuses_is_not_an_absent_file(status: int, server: str) -> None:
    place = Place(f"{server}/{status}.jsonl")
    for ask in (
        place.size_bytes,
        place.kind,
        place.read,
        partial(place.read_at_most, 10),
        partial(opened, place),
    ):
        with pytest.raises(InputError, match=f"cannot be read: {status}") as raised:
            ask()
        # Asked again, it would answer the same
        assert is_final(raised.value) is (status in (401, 403))
        assert ("access" in raised.value.hint) is (status in (401, 403))


def test_a_file_whose_size_a_web_server_does_not_tell(server: str) -> None:
    place = Place(f"{server}/200.jsonl")
    assert (place.size_bytes(), place.kind()) == (None, "file")


def test_a_connection_that_is_refused_is_not_an_absent_file() -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(InputError, match=r"cannot be read: Cannot connect to host") as raised:
        Place(f"http://127.0.0.1:{port}/a.jsonl?sig=secret").size_bytes()
    assert "secret" not in str(raised.value)


def test_an_error_without_words_has_its_name() -> None:
    with pytest.raises(InputError, match="cannot be read: TimeoutError"), storage_errors("a.jsonl", "read"):
        raise TimeoutError


def test_credentials_that_are_absent_are_not_asked_for_again() -> None:
    class NoCredentialsError(Exception):
        """As that of botocore."""

    with (
        pytest.raises(InputError, match="Unable to locate credentials") as raised,
        storage_errors("s3://a/b", "read"),
    ):
        raise NoCredentialsError("Unable to locate credentials")
    assert is_final(raised.value)
    assert "credentials that the store wants" in raised.value.hint


@pytest.mark.parametrize("content", [b"", b"PK not a zip archive"])
def test_an_archive_that_is_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="cannot be opened"):
        Place(f"zip://a.jsonl::{tmp_path}/a.zip")


def test_a_file_in_an_archive_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", b'{"text": "a"}\n' * 10_000)
    content = bytearray(path.read_bytes())
    content[60:80] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        Place(f"zip://a.jsonl::{path}").read()


def test_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "link.jsonl").symlink_to("a.jsonl")
    place = Place(str(tmp_path / "a.jsonl"))
    assert place.is_same(Place(f"file://{tmp_path}/a.jsonl"))
    assert place.is_same(Place(str(tmp_path / "link.jsonl")))
    assert not place.is_same(Place(str(tmp_path / "absent.jsonl")))
    assert not place.is_same(Place("memory://a.jsonl"))
    assert Place("memory://a.jsonl").is_same(Place("memory:///a.jsonl"))


def test_the_parent_of_a_folder_that_does_not_exist_is_the_folder_above(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("kept", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.jsonl").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    place = Place(str(tmp_path / "absent" / ".." / "a.jsonl"))
    assert place.is_same(Place(str(tmp_path / "a.jsonl")))
    assert place.read() == b"kept"
    place.make_parent()
    assert not (tmp_path / "absent").exists()
    assert Place(str(tmp_path / "folder" / "..")).inside("a.jsonl").read() == b"kept"
    # The parent of a link's target, as for every other program
    assert Place(f"{tmp_path}/link/../a.jsonl").path == f"{os.path.realpath(tmp_path)}/a.jsonl"


@pytest.mark.parametrize(
    ("url", "path", "name"),
    [
        ("memory://bulk/a.jsonl", "/bulk/a.jsonl", "a.jsonl"),
        ("zip://in/a.jsonl::https://host/b.zip", "in/a.jsonl", "a.jsonl"),
        ("https://host/a.jsonl?sig=b/c.txt", "https://host/a.jsonl?sig=b/c.txt", "a.jsonl"),
        ("file:///folder/a?b.jsonl", "/folder/a?b.jsonl", "a?b.jsonl"),
    ],
)
def test_the_name_says_the_format(url: str, path: str, name: str) -> None:
    assert Place(url, (fsspec.filesystem("memory"), path)).name == name


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a.jsonl", "HTTPS://127.0.0.1:9/a.jsonl"])
def test_a_large_file_may_take_longer_than_five_minutes(url: str) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp")
    timeout = Place(url).file_system.client_kwargs["timeout"]
    assert timeout.total is None
    assert timeout.sock_read == 60
    inside = Place(f"simplecache::{url.lower()}").file_system.fs
    assert inside.client_kwargs["timeout"].total is None


def test_what_looks_like_the_web_inside_a_path_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert protocols("s3://bucket/http://a") == {"s3"}
    assert protocols("zip://a.jsonl::https://host/b.zip") == {"zip", "https"}
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert Place("memory://shop/http://a").address == "memory://shop/http://a"
