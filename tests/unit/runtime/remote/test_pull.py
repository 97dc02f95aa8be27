"""Pulling: whole, checked and at once, or not at all."""

import json
import os
import re
import resource
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import distilforge
import pytest
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.lock import only_one
from distilforge.manifest import FileRecord
from distilforge.release import verify
from distilforge.remote import pull as pull_module
from distilforge.remote.download import cache_folder
from distilforge.remote.find import find_store
from distilforge.remote.folder import FolderStore
from distilforge.remote.index import StoredRelease
from distilforge.storage import Place

from tests.runtime_release import copied
from tests.signed_release import sign, write_key
from tests.stores import Shop, names_in, small_release


def stored_file(shop: Shop, name: str) -> Place:
    """A file of the last release in the store."""
    return Place(shop.url).inside(f"{shop.index().releases[-1].location}/{name}")


def test_what_is_pulled_is_what_was_pushed(shop: Shop) -> None:
    release = small_release(shop.folder, 1)
    shop.push(release)
    result = shop.pull()
    assert Path(result.folder) == shop.folder / "pulled" / release.name
    assert names_in(Path(result.folder)) == names_in(release)
    assert verify(Path(result.folder)).version == release.name
    assert (shop.folder / "pulled" / "latest").readlink() == Path(release.name)
    assert result.downloaded_bytes == result.bytes == shop.index().releases[0].bytes
    assert {path.name for path in (shop.folder / "pulled").iterdir()} == {release.name, "latest"}


def test_a_pull_says_that_it_waits_for_another_one(shop: Shop) -> None:
    shop.push_new(1)
    shop.pull()
    assert "waiting" not in "".join(shop.said)
    with only_one(cache_folder() / "lock", waiting=lambda: None):
        waiting = Thread(target=shop.pull)
        waiting.start()
        while not any("waiting until it has ended" in line for line in shop.said):
            assert waiting.is_alive(), shop.said
            waiting.join(0.01)
    waiting.join(60)
    assert not waiting.is_alive()
    assert sum("another pull uses" in line for line in shop.said) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["index.json", "config.json"])
def test_a_pipe_in_a_store_is_not_waited_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shop = Shop(url=str(tmp_path / "store"), folder=tmp_path)
    shop.push_new(1)
    path = tmp_path / "store" / ("" if name == "index.json" else shop.index().releases[0].location) / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises((InputError, ReleaseError), match="is a pipe or a device, and has to be a file"):
        shop.pull()
    if name == "index.json":
        with pytest.raises(InputError, match="is a pipe or a device, and has to be a file"):
            shop.publisher()


class Refusing(SimpleHTTPRequestHandler):
    """Answers the first requests for a file with another status."""

    status, times = 503, 0

    def send_head(self) -> Any:
        if self.path.endswith("/model.onnx") and type(self).times > 0:
            type(self).times -= 1
            self.send_error(self.status)
            return None
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(("status", "times"), [(503, 2), (429, 2), (403, 99), (401, 99), (500, 99)])
def test_a_web_server_that_refuses_a_file(
    status: int, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shop = Shop(url=str(tmp_path / "store"), folder=tmp_path)
    version = shop.push_new(1)
    monkeypatch.setattr(Refusing, "status", status)
    monkeypatch.setattr(Refusing, "times", times)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Refusing, directory=tmp_path)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        shop.url = f"http://127.0.0.1:{server.server_address[1]}/store"
        try:
            if times == 2:
                assert shop.pull().version == version
                assert any(f"{status}" in line and "continuing in" in line for line in shop.said)
                return
            error = UnavailableError if status == 500 else InputError
            with pytest.raises(error, match=f"{status}") as raised:
                shop.pull()
            assert "damaged" not in str(raised.value)
            assert any("continuing in" in line for line in shop.said) is (status == 500)
        finally:
            server.shutdown()


def test_a_pull_shows_how_far_it_is(shop: Shop) -> None:
    shop.push_new(1)
    result = shop.pull()
    megabytes = f"{result.bytes / 1e6:,.1f}"
    assert re.fullmatch(
        rf"100%  {megabytes} of {megabytes} MB, [0-9.,]+ MB a second, 0:00:00 left", shop.shown[-1]
    )
    shares = [int(line.partition("%")[0]) for line in shop.shown]
    assert shares == sorted(shares)
    assert shares[0] < 100
    shop.shown.clear()
    shop.pull()
    assert shop.shown == []


def test_the_folder_of_another_release_is_left_alone(shop: Shop) -> None:
    other = shop.folder / "pulled" / "0123456789ab"
    shutil.copytree(copied("masked_lm", shop.folder / "other"), other)
    (other.parent / "latest").symlink_to(other.name)
    shop.push_new(1)
    with pytest.raises(InputError, match=r"pulled' has the release '.*', and this one is"):
        shop.pull()
    assert (other.parent / "latest").readlink() == Path(other.name)


def test_a_place_that_cannot_be_is_not_the_publishers_fault(shop: Shop) -> None:
    shop.push_new(1)
    with pytest.raises(InputError, match="'/proc/nothing' cannot be written"):
        pull_module.pull(shop.url, Path("/proc/nothing"), shop.said.append)


def test_a_url_with_one_slash_is_not_a_folder() -> None:
    with pytest.raises(InputError, match="one slash after its protocol") as raised:
        pull_module.pull("s3:/bucket/sentiment", Path("x"), print)
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("s3://bucket/sentiment")


def test_the_case_of_a_protocol_does_not_count(shop: Shop) -> None:
    shop.push_new(1)
    protocol, _, rest = Place(shop.url).address.partition("://")
    assert find_store(f"{protocol.upper()}://{rest}").index() == shop.index()
    pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    assert find_store("HF://Team/Sentiment").url == "hf://Team/Sentiment"


def test_an_application_opens_what_was_pulled(shop: Shop) -> None:
    release = copied("sequence_classification", shop.folder / "release")
    shop.push(release)
    shop.pull()
    assert distilforge.open(shop.folder / "pulled")("good movie") == distilforge.open(release)("good movie")


def test_a_second_pull_downloads_only_what_is_new(shop: Shop) -> None:
    shop.push_new(1)
    shop.pull()
    assert shop.pull().downloaded_bytes == 0
    shop.push_new(2)
    second = shop.pull()
    # Configuration, tokenizer, one graph and README are the same; model.onnx and the manifest are not
    assert 0 < second.downloaded_bytes < second.bytes
    shutil.rmtree(shop.folder / "pulled")
    assert shop.pull().downloaded_bytes == 0


def test_channels_and_versions(shop: Shop) -> None:
    first, second = shop.push_new(1), shop.push_new(2)
    shop.publisher().promote(first, "stable")
    assert shop.pull().version == second
    assert shop.pull(channel="stable").version == first
    assert shop.pull(version=second).version == second
    with pytest.raises(InputError, match="does not have the channel 'beta'") as raised:
        shop.pull(channel="beta")
    assert "latest, stable" in raised.value.hint
    with pytest.raises(InputError, match="does not have the version '0123'") as raised:
        shop.pull(version="0123")
    assert first in raised.value.hint
    with pytest.raises(InputError, match="a channel or a version, found both"):
        shop.pull(channel="stable", version=first)


def test_nothing_is_there(shop: Shop) -> None:
    with pytest.raises(InputError, match="there are no releases at") as raised:
        shop.pull()
    assert "distilforge push" in raised.value.hint


@pytest.mark.parametrize("name", ["onnx/model.onnx", "manifest.json", "README.md"])
@pytest.mark.parametrize("kind", ["changed", "longer", "shorter", "absent"])
def test_a_tampered_file_is_refused(shop: Shop, name: str, kind: str) -> None:
    shop.push_new(1)
    place = stored_file(shop, name)
    content = place.read() or b""
    if kind == "absent":
        place.remove()
    else:
        place.write(
            {"changed": b"\x7f" + content[1:], "longer": content + b"x", "shorter": content[:-1]}[kind]
        )
    errors = {"changed": "SHA-256", "longer": "has more", "shorter": "bytes", "absent": "is damaged"}
    with pytest.raises(ReleaseError, match=errors[kind]):
        shop.pull()
    # Nothing is the network's fault where the store says the size
    assert not any("continuing" in line for line in shop.said)
    assert names_in(shop.folder / "pulled") == set()
    # What is whole is kept for the next pull, and what is not is not mistaken for it
    place.write(content)
    assert shop.pull().version == shop.index().releases[0].version


def test_another_manifest_than_the_index_says(shop: Shop) -> None:
    shop.push_new(1)
    index = json.loads(Place(shop.url).inside("index.json").read() or b"")
    index["name"] = index["releases"][0]["name"] = "other"
    Place(shop.url).inside("index.json").write(json.dumps(index).encode())
    with pytest.raises(ReleaseError, match=r"lists 'other' .* is that of 'small'"):
        shop.pull()


def test_a_signature_is_checked(shop: Shop, tmp_path: Path) -> None:
    key, other = write_key(tmp_path / "keys"), write_key(tmp_path / "others")
    release = small_release(shop.folder, 1)
    shop.push(release)
    with pytest.raises(ReleaseError, match="is not signed"):
        shop.pull(key=key.public)
    sign(release, key, order=3)
    shop.push(release)
    assert shop.pull(key=key.public).signer.startswith("the key ")
    assert (shop.folder / "pulled" / release.name / "statement.intoto.json").is_file()
    with pytest.raises(ReleaseError, match="is by the key"):
        shop.pull(key=other.public)
    shop.forget()
    with pytest.raises(ReleaseError, match="is by the key"):
        shop.pull(key=other.public)
    assert names_in(shop.folder / "pulled") == set()


def test_a_damaged_copy_is_replaced(shop: Shop) -> None:
    version = shop.push_new(1)
    shop.pull()
    graph = shop.folder / "pulled" / version / "onnx" / "model.onnx"
    graph.write_bytes(b"x")
    assert shop.pull().downloaded_bytes == 0
    assert verify(shop.folder / "pulled" / version)


def test_a_damaged_cache_is_downloaded_again(shop: Shop) -> None:
    shop.push_new(1)
    shop.pull()
    shutil.rmtree(shop.folder / "pulled")
    for path in cache_folder().iterdir():
        if path.name != "lock":
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)
    result = shop.pull()
    assert result.downloaded_bytes == result.bytes
    assert any("in the cache is damaged" in line for line in shop.said)


class Interrupted(FolderStore):
    """A store whose connection breaks after some bytes of each request."""

    def __init__(self, url: str, after_bytes: int, times: int, cause: type[Exception]) -> None:
        super().__init__(url)
        self.is_local = False
        self.after_bytes, self.times, self.cause = after_bytes, times, cause
        self.offsets: list[int] = []

    def pieces(self, release: StoredRelease, name: str, record: FileRecord, offset: int) -> Iterator[bytes]:
        content = b"".join(super().pieces(release, name, record, offset))
        if not name.endswith("model.onnx"):
            yield content
            return
        self.offsets.append(offset)
        if self.times:
            self.times -= 1
            yield content[: self.after_bytes]
            raise InputError("the connection broke") from self.cause()
        yield content


def test_an_interrupted_download_continues(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    version = shop.push_new(1)
    store = Interrupted(shop.url, 1_000, 3, ConnectionError)
    monkeypatch.setattr(pull_module, "find_store", lambda _: store)
    assert shop.pull().version == version
    assert store.offsets == [0, 1_000, 2_000, 3_000]
    assert any("the connection broke; continuing in 1 s" in line for line in shop.said)


def test_the_next_pull_continues_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.push_new(1)
    store = Interrupted(shop.url, 1_000, 4, ConnectionError)
    monkeypatch.setattr(pull_module, "find_store", lambda _: store)
    with pytest.raises(UnavailableError, match=r"tried 4 times, 4,000 of 16,000 bytes") as raised:
        shop.pull()
    assert "continues where it was" in raised.value.hint
    assert names_in(shop.folder / "pulled") == set()
    shop.pull()
    assert store.offsets[-1] == 4_000


def test_a_part_of_something_else_is_started_again(shop: Shop) -> None:
    shop.push_new(1)
    store, release = FolderStore(shop.url), shop.index().releases[0]
    manifest = json.loads(b"".join(store.pieces(release, "manifest.json", release.manifest, 0)))
    sha256 = manifest["files"]["onnx/model.onnx"]["sha256"]
    cache_folder().mkdir(parents=True)
    (cache_folder() / f"{sha256}.part").write_bytes(b"something else")
    shop.pull()
    assert any("does not fit, starting again" in line for line in shop.said)


def test_a_request_that_no_new_try_helps(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.push_new(1)
    store = Interrupted(shop.url, 1_000, 9, PermissionError)
    monkeypatch.setattr(pull_module, "find_store", lambda _: store)
    with pytest.raises(InputError, match="the connection broke"):
        shop.pull()
    assert store.offsets == [0]


def test_a_version_that_is_pruned_meanwhile(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel names another version then, and that is pulled."""
    shop.push_new(1)

    class Pruned(FolderStore):
        reads = 0

        def pieces(
            self, release: StoredRelease, name: str, record: FileRecord, offset: int
        ) -> Iterator[bytes]:
            self.reads += 1
            if self.reads == 2:
                shop.push_new(2)
                shop.push_new(3)
                shop.publisher().prune(1)
            return super().pieces(release, name, record, offset)

    store = Pruned(shop.url)
    monkeypatch.setattr(pull_module, "find_store", lambda _: store)
    assert shop.pull().version == shop.index().releases[-1].version
    assert any("looking again" in line for line in shop.said)


def test_what_is_in_the_way(shop: Shop) -> None:
    shop.push_new(1)
    (shop.folder / "pulled" / "latest").mkdir(parents=True)
    with pytest.raises(InputError, match="is a folder, and has to be a link"):
        shop.pull()
    (shop.folder / "pulled" / "latest").rmdir()
    (shop.folder / "pulled" / "latest").write_bytes(b"notes")
    with pytest.raises(InputError, match="is a file, and has to be a link"):
        shop.pull()
    assert (shop.folder / "pulled" / "latest").read_bytes() == b"notes"
    shutil.rmtree(shop.folder / "pulled")
    (shop.folder / "pulled").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be written"):
        shop.pull()


@pytest.mark.parametrize("kind", ["a file", "a folder", "a link"])
def test_what_is_no_release_is_not_replaced_by_a_version(shop: Shop, kind: str) -> None:
    version = shop.push_new(1)
    place = shop.folder / "pulled" / version
    if kind == "a file":
        place.parent.mkdir()
        place.write_text("mine")
    elif kind == "a folder":
        place.mkdir(parents=True)
        (place / "mine.txt").write_text("mine")
    else:
        (shop.folder / "elsewhere").mkdir()
        place.parent.mkdir()
        place.symlink_to(shop.folder / "elsewhere")
    with pytest.raises(InputError, match=rf"{version}' is there, and is not a release"):
        shop.pull()
    assert place.is_symlink() or (place if kind == "a file" else place / "mine.txt").read_text() == "mine"
    assert [path.name for path in place.parent.iterdir()] == [version]


def test_an_output_that_cannot_be_looked_at_is_named(shop: Shop) -> None:
    shop.push_new(1)
    with pytest.raises(InputError, match=r"cannot be written: .*File name too long"):
        pull_module.pull(shop.url, shop.folder / ("a" * 300), lambda text: None)


def test_a_full_disk_is_said_before(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.push_new(1)
    usage = shutil.disk_usage(shop.folder)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        UnavailableError, match=r"needs [0-9,]+ bytes on the disk of .* has 1,048,576 bytes left"
    ):
        shop.pull()


def test_a_disk_has_room_for_the_cache_and_the_copy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.push_new(1)
    size = shop.index().releases[0].bytes
    # Enough for the download and what the file system needs besides, and not for a second copy
    usage = shutil.disk_usage(shop.folder)._replace(free=(16 << 20) + size + 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UnavailableError, match=r"needs [0-9,]+ bytes on the disk of"):
        shop.pull()


def test_a_cache_that_is_removed_meanwhile_is_not_the_publishers_fault(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.push_new(1)
    pieces = FolderStore.pieces

    def removing(
        store: FolderStore, release: StoredRelease, name: str, record: FileRecord, offset: int
    ) -> Iterator[bytes]:
        yield from pieces(store, release, name, record, offset)
        if name == "onnx/model.onnx":
            shutil.rmtree(cache_folder())

    monkeypatch.setattr(FolderStore, "pieces", removing)
    with pytest.raises(InputError, match=r"distilforge/releases' cannot be written"):
        shop.pull()


def test_a_disk_that_becomes_full_is_named(shop: Shop) -> None:
    """The cache may be on another disk than the output."""
    shop.push_new(1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written: .*File too large") as raised:
            shop.pull()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.message.startswith(repr(str(cache_folder())))


def test_leftovers_of_killed_pulls_go(shop: Shop) -> None:
    shop.push_new(1)
    old, new = shop.folder / "pulled" / ".pull-old", shop.folder / "pulled" / ".pull-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    shop.pull()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_web_server_that_only_has_whole_files(shop: Shop, tmp_path: Path) -> None:
    if find_spec("aiohttp") is None or not shop.url.startswith("/"):
        pytest.skip("needs aiohttp, and the store in a folder")
    version = shop.push_new(1)
    sha256 = verify(tmp_path / version).files["onnx/model.onnx"].sha256
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        shop.url = f"http://127.0.0.1:{server.server_address[1]}/store"
        try:
            assert shop.pull().version == version
            whole = cache_folder() / sha256
            (cache_folder() / f"{sha256}.part").write_bytes(whole.read_bytes()[:5_000])
            whole.unlink()
            shutil.rmtree(tmp_path / "pulled")
            assert shop.pull().downloaded_bytes == 11_000
            with pytest.raises(InputError, match="there are no releases"):
                FolderStore(f"{shop.url}/nothing").find(channel=None, version=None)
        finally:
            server.shutdown()
