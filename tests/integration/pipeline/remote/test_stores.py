"""An S3 server and a registry hold releases as a folder does."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.release import verify
from distilforge.remote.find import find_store
from distilforge.remote.index import LATEST
from distilforge.storage import Place

from pipeline.errors import UsageError
from pipeline.remote.pointer import find_pointer
from tests.signed_release import sign, write_key
from tests.stores import Shop, names_in, small_release


def test_push_promote_roll_back_and_prune(shop: Shop) -> None:
    versions = [shop.push_new(number) for number in range(4)]
    publisher = shop.publisher()
    assert publisher.promote(versions[0], "stable").before is None
    assert publisher.promote(versions[1], "stable").before == versions[0]
    assert shop.pull(channel="stable").version == versions[1]
    assert publisher.rollback("stable").version == versions[0]
    pulled = shop.pull()
    assert pulled.version == versions[3]
    assert names_in(Path(pulled.folder)) == names_in(shop.folder / versions[3])
    pruning = publisher.prune(1)
    assert pruning.removed == (versions[1],)
    assert set(pruning.protected) == {versions[0], versions[2]}
    index = shop.index()
    assert {release.version for release in index.releases} == set(versions) - {versions[1]}
    assert index.channels["stable"].version == versions[0]
    assert shop.pull(channel="stable").version == versions[0]
    with pytest.raises(InputError, match=versions[1]):
        shop.pull(version=versions[1])
    with pytest.raises(InputError, match="does not have the channel 'beta'"):
        shop.pull(channel="beta")


def test_the_same_again_and_a_signature(shop: Shop, tmp_path: Path) -> None:
    release = small_release(shop.folder, 1)
    assert shop.push(release).new
    assert not shop.push(release).new
    key = write_key(tmp_path / "keys")
    sign(release, key)
    assert shop.push(release).new
    assert shop.index().releases[0].signed
    assert shop.pull(key=key.public).signer.startswith("the key ")
    with pytest.raises(UsageError, match="'other'"):
        shop.publisher().check("other")


def test_a_signature_reaches_the_channels_after_a_push_that_was_ended(
    oci_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.remote.oci import OciPublisher

    release = small_release(oci_shop.folder, 1)
    oci_shop.push(release)
    key = write_key(tmp_path / "keys")
    sign(release, key)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as ended:
        ended.setattr(OciPublisher, "_write", end)
        with pytest.raises(KeyboardInterrupt):
            oci_shop.push(release)
    oci_shop.push(release)
    assert oci_shop.pull(key=key.public).signer.startswith("the key ")


def test_a_place_without_releases(shop: Shop) -> None:
    assert find_store(shop.url).index() is None
    with pytest.raises(InputError, match=r"there are no releases|does not have the channel 'latest'"):
        shop.pull()
    with pytest.raises(InputError, match="there are no releases"):
        shop.publisher().rollback("stable")


def test_a_reader_sees_the_old_or_the_new(shop: Shop) -> None:
    releases = [small_release(shop.folder, number) for number in range(5)]
    shop.push(releases[0])
    ended = threading.Event()

    def push_others() -> None:
        try:
            for release in releases[1:]:
                shop.push(release)
        finally:
            ended.set()

    seen = []
    with ThreadPoolExecutor(1) as pool:
        pushed = pool.submit(push_others)
        while not ended.is_set():
            result = shop.pull()
            verify(Path(result.folder))
            seen.append(result.version)
        pushed.result()
    order = [release.name for release in releases]
    assert seen == sorted(seen, key=order.index)
    assert shop.pull().version == order[-1]


def test_every_one_of_several_publishers_is_listed(s3_shop: Shop) -> None:
    releases = [small_release(s3_shop.folder, number) for number in range(4)]
    with ThreadPoolExecutor(len(releases)) as pool:
        assert all(push.new for push in pool.map(s3_shop.push, releases))
    index = s3_shop.index()
    assert {release.version for release in index.releases} == {release.name for release in releases}
    assert {index.channels[LATEST].version, *index.channels[LATEST].history} == {
        release.name for release in releases
    }


def test_of_two_writers_to_s3_one_wins(s3_shop: Shop) -> None:
    pointer = find_pointer(Place(s3_shop.url).inside("index.json"))
    assert pointer.read(100) == (None, "")
    assert pointer.replace(b"first", "")
    assert not pointer.replace(b"other", "")
    content, token = pointer.read(100)
    assert content == b"first"
    assert pointer.replace(b"second", token)
    assert not pointer.replace(b"third", token)
    assert pointer.read(100)[0] == b"second"


def test_a_bucket_that_is_absent_is_named(s3_shop: Shop) -> None:
    s3_shop.url = "s3://no-such-bucket/small"
    with pytest.raises(InputError, match=r"no-such-bucket.*cannot be written"):
        s3_shop.push_new(1)


def test_a_tampered_object_is_refused(s3_shop: Shop) -> None:
    s3_shop.push_new(1)
    place = Place(s3_shop.url).inside(f"{s3_shop.index().releases[0].location}/onnx/model.onnx")
    place.write(b"\x01" * 16_000)
    with pytest.raises(ReleaseError, match="SHA-256"):
        s3_shop.pull()
    assert names_in(s3_shop.folder / "pulled") == set()


@pytest.mark.parametrize("left", [0, 5_000])
def test_an_object_that_was_cut_is_damaged(s3_shop: Shop, left: int) -> None:
    s3_shop.push_new(1)
    place = Place(s3_shop.url).inside(f"{s3_shop.index().releases[0].location}/onnx/model.onnx")
    content = place.read() or b""
    place.write(content[:left])
    with pytest.raises(ReleaseError, match=rf"should have 16,000 bytes, and has {left:,}"):
        s3_shop.pull()
    assert not any("continuing" in line for line in s3_shop.said)


def test_an_empty_index_is_damaged(s3_shop: Shop) -> None:
    version = s3_shop.push_new(1)
    Place(s3_shop.url).inside("index.json").write(b"")
    for ask in (s3_shop.index, s3_shop.pull, lambda: s3_shop.publisher().promote(version, "stable")):
        with pytest.raises(ReleaseError, match=r"index\.json"):
            ask()
    assert not any("trying again" in line for line in s3_shop.said)


def test_objects_behind_the_name_of_the_index_are_no_index(s3_shop: Shop) -> None:
    Place(s3_shop.url).inside("index.json/notes").write(b"mine")
    with pytest.raises(InputError, match="there are no releases"):
        s3_shop.publisher().promote("0" * 12, "stable")
    version = s3_shop.push_new(1)
    assert s3_shop.pull().version == version


def test_another_spelling_of_the_protocol_is_the_same_file(s3_shop: Shop) -> None:
    first, second = (Place(f"{protocol}://bucket/a.jsonl") for protocol in ("s3", "s3a"))
    assert first.is_same(second)
    assert not first.is_same(second.beside("l"))


def test_a_tampered_blob_is_refused(oci_shop: Shop, registry: tuple[str, Path]) -> None:
    release = small_release(oci_shop.folder, 77)
    oci_shop.push(release)
    blob = blob_of(registry, release, "onnx/model.onnx")
    content = blob.read_bytes()
    blob.write_bytes(b"\x01" + content[1:])
    try:
        with pytest.raises(ReleaseError, match="SHA-256"):
            oci_shop.pull()
    finally:
        blob.write_bytes(content)
    assert names_in(oci_shop.folder / "pulled") == set()


def blob_of(registry: tuple[str, Path], release: Path, name: str) -> Path:
    """Where the registry has a file of `release`."""
    sha256 = json.loads((release / "manifest.json").read_text())["files"][name]["sha256"]
    (blob,) = (registry[1] / "registry").rglob(f"{sha256}/data")
    return blob


@pytest.mark.parametrize("left", [0, 5_000])
def test_a_blob_that_was_cut_is_damaged(oci_shop: Shop, registry: tuple[str, Path], left: int) -> None:
    release = small_release(oci_shop.folder, 78)
    oci_shop.push(release)
    blob = blob_of(registry, release, "onnx/model.onnx")
    content = blob.read_bytes()
    blob.write_bytes(content[:left])
    try:
        for _ in range(2):
            with pytest.raises(
                ReleaseError, match=rf"model.onnx' of .* should have 16,000 bytes, and has {left:,}"
            ):
                oci_shop.pull()
        assert not any("continuing" in line for line in oci_shop.said)
        with pytest.raises(ReleaseError, match=r"model.onnx' of .* a registry does not take a file again"):
            oci_shop.repair(release)
    finally:
        blob.write_bytes(content)
    assert not oci_shop.repair(release).new
    assert oci_shop.pull().version == release.name


def test_an_absent_blob_is_named_and_repaired(oci_shop: Shop, registry: tuple[str, Path]) -> None:
    release = small_release(oci_shop.folder, 79)
    oci_shop.push(release)
    shutil.rmtree(blob_of(registry, release, "onnx/model.onnx").parent)
    with pytest.raises(ReleaseError, match=r"is damaged: 'onnx/model.onnx' of"):
        oci_shop.pull()
    assert oci_shop.repair(release).new
    assert oci_shop.pull().version == release.name


def test_a_damaged_tag_stops_nobody(oci_shop: Shop) -> None:
    from distilforge.remote.oci import MANIFEST, TITLE
    from distilforge.remote.registry import Registry

    first, second = small_release(oci_shop.folder, 1), small_release(oci_shop.folder, 2)
    oci_shop.push(first)
    oci_shop.push(second)
    registry = Registry(oci_shop.url)
    image = json.loads(registry.manifest(first.name) or b"")
    image["layers"] = [layer for layer in image["layers"] if layer["annotations"][TITLE] != MANIFEST]
    registry.put_manifest(first.name, json.dumps(image).encode())
    said: list[str] = []
    index = find_store(oci_shop.url, said.append).index()
    assert index is not None
    assert [release.version for release in index.releases] == [second.name]
    (line,) = said
    assert f"the tag '{first.name}'" in line
    assert line.endswith("; leaving it out")
    with pytest.raises(ReleaseError, match=f"the tag '{first.name}'"):
        oci_shop.pull(version=first.name)
    assert oci_shop.publisher().promote(second.name, "stable").version == second.name
    assert oci_shop.push(first).new
    assert oci_shop.pull(version=first.name).version == first.name


def test_a_tag_that_somebody_else_moved_is_said(oci_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registries have no conditional writes; whoever loses is told."""
    from distilforge.remote.registry import Registry

    first, second = oci_shop.push_new(1), oci_shop.push_new(2)
    other = oci_shop.publisher()
    put = Registry.put_manifest

    def put_and_be_slow(self: Registry, tag: str, content: bytes) -> str:
        written = put(self, tag, content)
        monkeypatch.setattr(Registry, "put_manifest", put)
        other.promote(second, "stable")
        return written

    monkeypatch.setattr(Registry, "put_manifest", put_and_be_slow)
    with pytest.raises(UnavailableError, match=f"moved the channel 'stable' .* it names {second}"):
        oci_shop.publisher().promote(first, "stable")


def test_oras_pulls_a_channel_with_its_folders(oci_shop: Shop, tmp_path: Path) -> None:
    """The client of others gets the same files, since titles are paths."""
    from oras.provider import Registry

    version = oci_shop.push_new(1)
    address = oci_shop.url.removeprefix("oci://")
    host = address.partition("/")[0]
    client = Registry(hostname=host, insecure=True)
    client.pull(target=f"{address}:{LATEST}", outdir=str(tmp_path / "by-oras"))
    assert verify(tmp_path / "by-oras").version == version


@pytest.mark.parametrize("url", ["oci://host", "oci://host/Upper", "oci://host/a:tag", "oci://h/../x"])
def test_what_is_not_a_repository(url: str) -> None:
    if reason := why_no_oras():
        pytest.skip(reason)
    with pytest.raises(InputError, match="is not the address of a repository"):
        find_store(url)


def test_credentials_are_not_shown() -> None:
    if reason := why_no_oras():
        pytest.skip(reason)
    with pytest.raises(InputError) as raised:
        find_store("oci://me:secret@host/models")
    assert "secret" not in str(raised.value)
    assert "docker login" in raised.value.hint


def test_a_registry_that_is_not_there(oci_shop: Shop) -> None:
    oci_shop.url = "oci://127.0.0.1:1/models/small"
    store = find_store(oci_shop.url)
    with pytest.raises(InputError, match="cannot be read"):
        store.index()


def why_no_oras() -> str:
    from tests.store_servers import absent

    return absent("oras")
