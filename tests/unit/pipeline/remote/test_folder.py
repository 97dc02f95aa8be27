"""Pushing, promoting, rolling back and pruning in a folder."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.storage import Place

from pipeline.errors import MissingError, UsageError
from pipeline.remote import folder as folder_module
from pipeline.remote.files import shipment
from pipeline.remote.find import find_publisher
from pipeline.remote.folder import FolderPublisher
from pipeline.remote.pointer import find_pointer
from pipeline.remote.push import address, check, push
from tests.runtime_release import read_manifest, write_manifest
from tests.signed_release import sign, write_key
from tests.stores import Shop, small_release


def folders(shop: Shop) -> set[str]:
    return {name for name in Place(shop.url).names() if not name.startswith(("index", "."))}


def test_the_case_of_a_protocol_does_not_count() -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    assert find_publisher("HF://Team/Sentiment", print).url == "hf://Team/Sentiment"


def test_a_push_is_listed_and_the_same_again_is_not_sent(shop: Shop) -> None:
    release = small_release(shop.folder, 1)
    first = shop.push(release)
    assert (first.new, first.latest, first.version) == (True, True, release.name)
    before = shop.index()
    second = shop.push(release)
    assert (second.new, second.latest) == (False, True)
    assert shop.index() == before
    assert len(folders(shop)) == 1


def test_a_signature_makes_a_new_push_of_the_version(shop: Shop, tmp_path: Path) -> None:
    release = small_release(shop.folder, 1)
    shop.push(release)
    assert not shop.index().releases[0].signed
    sign(release, write_key(tmp_path / "keys"))
    assert shop.push(release).new
    (stored,) = shop.index().releases
    assert stored.signed
    # Somebody may read the old folder just now
    assert len(folders(shop)) == 2


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "absent"])
def test_a_damaged_version_is_repaired(shop: Shop, damage: str) -> None:
    old, new = small_release(shop.folder, 1), small_release(shop.folder, 2)
    shop.push(old)
    shop.push(new)
    shop.publisher().promote(old.name, "stable")
    before = shop.index()
    assert not shop.repair(old).new
    assert shop.index() == before
    graph = Place(shop.url).inside(f"{before.releases[0].location}/onnx/model.onnx")
    content = graph.read() or b""
    if damage == "absent":
        graph.remove()
    else:
        graph.write(
            {"changed": content[:-1] + b"?", "shorter": content[:-1], "longer": content + b"?"}[damage]
        )
    with pytest.raises((ReleaseError, UnavailableError)):
        shop.pull(channel="stable")
    result = shop.repair(old)
    assert (result.new, result.latest, result.version) == (True, False, old.name)
    assert "onnx/model.onnx: damaged or absent" in shop.said
    after = shop.index()
    assert after.channels == before.channels
    assert [release.version for release in after.releases] == [old.name, new.name]
    assert after.releases[1] == before.releases[1]
    assert shop.pull(channel="stable").version == old.name


def test_only_what_is_there_can_be_repaired(shop: Shop, tmp_path: Path) -> None:
    release = small_release(shop.folder, 1)
    with pytest.raises(UsageError, match=rf"does not have {release.name}.*nothing to repair") as raised:
        shop.repair(release)
    assert "without --repair" in raised.value.hint
    shop.push(release)
    sign(release, write_key(tmp_path / "keys"))
    with pytest.raises(UsageError, match="has another build or signature of"):
        shop.repair(release)


def test_a_repair_of_what_was_removed_meanwhile(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    old = small_release(shop.folder, 1)
    shop.push(old)
    shop.push_new(2)
    shop.push_new(3)
    Place(shop.url).inside(f"{shop.index().releases[0].location}/onnx/model.onnx").write(b"x")
    upload = FolderPublisher._upload

    def prune_and_upload(publisher: FolderPublisher, *arguments: Any) -> None:
        upload(publisher, *arguments)
        shop.publisher().prune(1)

    monkeypatch.setattr(FolderPublisher, "_upload", prune_and_upload)
    with pytest.raises(ReleaseError, match=f"{old.name} .* was replaced or removed while it was repaired"):
        shop.repair(old)
    assert old.name not in {release.version for release in shop.index().releases}


@pytest.mark.parametrize("inside", ["", "store"])
def test_a_store_inside_the_release_is_refused(inside: str, tmp_path: Path) -> None:
    release = small_release(tmp_path, 1)
    before = sorted(release.rglob("*"))
    with pytest.raises(UsageError, match="is inside the release"):
        push(release, str(release / inside), print)
    assert sorted(release.rglob("*")) == before


def test_nothing_is_brought_to_the_web() -> None:
    with pytest.raises(InputError, match=r"only be pulled from the web.*://\*\*\*@example") as raised:
        find_publisher("https://me:secret@example.org/sentiment?sig=secret", print)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["store/{nam}", "store/{name", "store/{name}/{version}"])
def test_other_braces_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"braces besides \{name\}"):
        address(url, "sentiment")


def test_the_error_of_other_braces_hides_credentials() -> None:
    with pytest.raises(UsageError, match="braces besides") as raised:
        address("s3://me:secret@bucket/{nme}", "sentiment")
    assert "secret" not in str(raised.value)


def test_a_release_that_is_not_whole_is_not_pushed(shop: Shop) -> None:
    release = small_release(shop.folder, 1)
    (release / "onnx" / "model.onnx").write_bytes(b"x")
    with pytest.raises(ReleaseError, match="is damaged"):
        shop.push(release)
    assert folders(shop) == set()


def test_a_release_that_changes_meanwhile_is_not_listed(shop: Shop) -> None:
    release = small_release(shop.folder, 1)
    checked = shipment(release)
    content = bytearray((release / "onnx" / "model.onnx").read_bytes())
    content[0] ^= 1
    (release / "onnx" / "model.onnx").write_bytes(content)
    with pytest.raises(ReleaseError, match="changed while it was pushed"):
        shop.publisher().push(checked)
    # What was written of it would fill a disk until a day later
    assert folders(shop) == set()
    with pytest.raises(InputError, match="there are no releases"):
        shop.pull()


def test_a_place_has_one_release(shop: Shop) -> None:
    shop.push_new(1)
    other = small_release(shop.folder, 2)
    manifest = read_manifest(other)
    write_manifest(other, replace(manifest, name="other"))
    with pytest.raises(UsageError, match="has the release 'small', and this one is 'other'") as raised:
        shop.push(other)
    assert "{name}" in raised.value.hint
    with pytest.raises(UsageError, match="'other'"):
        shop.publisher().check("other")


def test_promote_roll_back_and_prune(shop: Shop) -> None:
    versions = [shop.push_new(number) for number in range(5)]
    publisher = shop.publisher()
    assert publisher.promote(versions[0], "stable").before is None
    assert publisher.promote(versions[1], "stable").before == versions[0]
    pruning = publisher.prune(1)
    assert pruning.removed == (versions[2],)
    assert set(pruning.protected) == {versions[0], versions[1], versions[3]}
    assert {name[:12] for name in folders(shop)} == set(versions) - {versions[2]}
    assert publisher.rollback("stable").version == versions[0]
    assert shop.pull(channel="stable").version == versions[0]
    assert shop.pull(version=versions[3]).version == versions[3]
    with pytest.raises(InputError, match=versions[2]):
        shop.pull(version=versions[2])


def test_a_pruner_removes_old_leftovers_and_nothing_else(shop: Shop) -> None:
    version = shop.push_new(1)
    old, new = (
        f"{version}-{datetime.now(UTC) - age:%Y%m%dT%H%M%SZ}-0123abcd"
        for age in (timedelta(hours=25), timedelta(hours=1))
    )
    root = Place(shop.url)
    for name in (old, new, "somebody-elses"):
        root.inside(f"{name}/config.json").write(b"{}")
    assert shop.publisher().prune(1).leftovers == 1
    assert folders(shop) == {shop.index().releases[0].location, new, "somebody-elses"}


def test_a_push_that_took_too_long_is_not_listed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "_LONGEST_PUSH", timedelta(0))
    with pytest.raises(UnavailableError, match="took more than 0:00:00, and is not listed"):
        shop.push_new(1)


def test_a_release_that_is_removed_while_it_is_pushed_again(shop: Shop) -> None:
    release = small_release(shop.folder, 0)
    shop.push(release)
    publisher = shop.publisher()
    assert isinstance(publisher, FolderPublisher)
    read = publisher._read
    reads = []

    def read_and_prune() -> object:
        present = read()
        reads.append(1)
        if len(reads) == 1:
            shop.push_new(1)
            shop.push_new(2)
            shop.publisher().prune(1)
        return present

    publisher._read = read_and_prune  # type: ignore[method-assign, assignment]
    with pytest.raises(ReleaseError, match=r"was removed from .* while it was pushed"):
        publisher.push(shipment(release))


def test_every_one_of_several_publishers_is_listed(shop: Shop) -> None:
    """Eight at once: each index is made from the one before, so none is lost."""
    releases = [small_release(shop.folder, number) for number in range(8)]
    with ThreadPoolExecutor(len(releases)) as pool:
        pushes = list(pool.map(shop.push, releases))
    assert all(push.new for push in pushes)
    index = shop.index()
    assert {stored.version for stored in index.releases} == {release.name for release in releases}
    history = [index.channels["latest"].version, *index.channels["latest"].history]
    assert sorted(history) == sorted(release.name for release in releases)


def test_of_two_writers_one_wins(shop: Shop) -> None:
    place = Place(shop.url).inside("index.json")
    pointer = find_pointer(place)
    assert pointer.read(100) == (None, "")
    assert pointer.replace(b"first", "")
    assert not pointer.replace(b"other", "")
    content, token = pointer.read(100)
    assert content == b"first"
    assert pointer.replace(b"second", token)
    assert not pointer.replace(b"third", token)
    assert pointer.read(100)[0] == b"second"


def test_a_link_that_somebody_put_into_the_store_is_not_followed(tmp_path: Path) -> None:
    shop = Shop(url=str(tmp_path / "store"), folder=tmp_path)
    precious = tmp_path / "precious"
    precious.write_bytes(b"content")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ".index.json.new").symlink_to(precious)
    version = shop.push_new(1)
    assert shop.index().channels["latest"].version == version
    assert precious.read_bytes() == b"content"


def test_a_damaged_index_is_not_replaced(shop: Shop) -> None:
    place = Place(shop.url).inside("index.json")
    place.write(b'{"name": 7}')
    with pytest.raises(ReleaseError, match="must be text, found 7"):
        shop.push_new(1)
    assert place.read() == b'{"name": 7}'


def test_a_lock_that_stays_is_named() -> None:
    from pipeline.remote.locked_pointer import LockedPointer

    files = fsspec.filesystem("memory")
    files.pipe_file("/locked/index.json.lock", b"somebody on a host")
    try:
        pointer = LockedPointer(Place("memory://locked/index.json"), wait_seconds=0.0)
        with pytest.raises(UnavailableError, match="written by somebody on a host") as raised:
            pointer.replace(b"x", "")
        assert "remove that file" in raised.value.hint
    finally:
        files.rm("/locked", recursive=True)


def test_the_name_in_a_url(tmp_path: Path) -> None:
    said: list[str] = []
    pushed = push(small_release(tmp_path, 1), f"{tmp_path}/stores/{{name}}", said.append)
    assert pushed.url == f"file://{tmp_path}/stores/small"
    assert json.loads((tmp_path / "stores" / "small" / "index.json").read_text())["name"] == "small"
    check(f"{tmp_path}/stores/{{name}}", "small", said.append)
    assert address("s3://bucket/{name}", "a") == "s3://bucket/a"


def test_a_missing_package_is_an_error_of_the_pipeline() -> None:
    with pytest.raises(MissingError, match="needs a package that is not installed"):
        find_publisher("oss://bucket/a", print)
    with pytest.raises(UsageError, match="is empty"):
        find_publisher("", print)
