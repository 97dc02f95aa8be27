"""An index from a stranger: what it must be, and what is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from distilforge.errors import InputError, ReleaseError
from distilforge.remote import index as index_module
from distilforge.remote.command import table
from distilforge.remote.index import MOST_RELEASES, Index, parse_index

VERSION = "0123456789ab"
RELEASE = {
    "name": "small",
    "version": VERSION,
    "location": f"{VERSION}-20260101T000000Z-01234567",
    "created": "2026-01-01T00:00:00+00:00",
    "pushed": "2026-01-02T00:00:00+00:00",
    "bytes": 123_456_789,
    "validated": True,
    "manifest": {"sha256": "0" * 64, "bytes": 1},
    "signature": {"model.sig": {"sha256": "1" * 64, "bytes": 1}},
}


def document() -> dict[str, Any]:
    text = json.dumps(
        {
            "name": "small",
            "releases": [RELEASE],
            "channels": {"latest": {"version": VERSION, "history": []}},
            "schema": 1,
        }
    )
    values: dict[str, Any] = json.loads(text)
    return values


def parse(values: object) -> Index:
    return parse_index(json.dumps(values).encode(), "the index")


def test_an_index_is_read() -> None:
    index = parse({**document(), "unknown": 1})
    assert index.releases[0].signed
    assert index.find("x", channel=None, version=None).bytes == 123_456_789
    lines = table(index).splitlines()
    assert lines[0] == "small"
    assert lines[2].split() == [
        VERSION, "latest", "2026-01-01T00:00:00", "2026-01-02T00:00:00", "123.5", "MB", "yes", "yes"
    ]  # fmt: skip


def _release(**changes: object) -> Callable[[dict[str, Any]], None]:
    return lambda values: values["releases"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_release(version="../x"), "is not a version"),
        (_release(location="../../etc"), "is not the name of a folder"),
        (_release(location="a/b"), "is not the name of a folder"),
        (_release(location=""), "is not the name of a folder"),
        (_release(manifest={"sha256": "x", "bytes": 1}), "is not a SHA-256"),
        (_release(manifest={"sha256": "0" * 64, "bytes": 1 << 40}), "1,099,511,627,776 bytes"),
        (_release(manifest={"sha256": "0" * 64, "bytes": -1}), "-1 bytes"),
        (_release(signature={"../x": {"sha256": "0" * 64, "bytes": 1}}), "not the files of a signature"),
        (_release(bytes=-1), "-1 bytes"),
        (_release(created="x" * 201), "201 characters"),
        (_release(created="\nfake line"), r"'\\nfake line' is not a date"),
        (_release(pushed="\ud800"), "is not a date"),
        (lambda values: values.update(revisions=["\ud800"]), "the revision .* is not a hexadecimal number"),
        (lambda values: values.update(name="small\nfake line"), "its name is .*: letters, digits"),
        (
            lambda values: values["releases"].append({**RELEASE, "version": "f" * 12}),
            "lists two versions in one folder",
        ),
        (_release(bytes="many"), "must be a whole number"),
        (lambda values: values["releases"].append(RELEASE), "lists a version twice"),
        (
            lambda values: values.update(channels={"Latest": {"version": VERSION}}),
            "not the name of a channel",
        ),
        (lambda values: values.update(channels={VERSION: {"version": VERSION}}), "not the name of a channel"),
        (lambda values: values.update(channels={"latest": {"version": "f" * 12}}), "does not list"),
        (
            lambda values: values.update(channels={"latest": {"version": VERSION, "history": ["f" * 12]}}),
            "named 'ffffffffffff' before, which it does not list",
        ),
        (
            lambda values: values.update(
                channels={"latest": {"version": VERSION, "history": [VERSION] * 11}}
            ),
            "remembers 11 versions",
        ),
        (
            lambda values: values.update(channels={f"c{n}": {"version": VERSION} for n in range(101)}),
            "101 channels",
        ),
        (lambda values: values.update(name=""), "its name is ''"),
        (_release(name="other"), "lists a release of 'other', and is that of 'small'"),
        (lambda values: values.update(schema=2), "reads schemas up to 1"),
        (lambda values: values.pop("name"), "lacks the field 'name'"),
    ],
)
def test_what_is_refused(change: Callable[[dict[str, Any]], None], message: str) -> None:
    values = document()
    change(values)
    with pytest.raises(ReleaseError, match=message):
        parse(values)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{", b'{"name": 1, "name": 2}', b"[" * 100_000])
def test_what_is_not_an_index(content: bytes) -> None:
    with pytest.raises(ReleaseError, match="the index"):
        parse_index(content, "the index")


def test_a_large_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "MOST_INDEX_BYTES", 100)
    with pytest.raises(ReleaseError, match="more than 100 bytes"):
        parse(document())


def test_too_many_releases_are_refused() -> None:
    releases = [{**RELEASE, "version": f"{number:012x}"} for number in range(MOST_RELEASES + 1)]
    with pytest.raises(ReleaseError, match="10,001 releases; at most 10,000"):
        parse({"name": "small", "releases": releases})


def test_names_for_a_hint_are_few() -> None:
    releases = [
        {**RELEASE, "version": f"{number:012x}", "location": f"{number:012x}"} for number in range(20)
    ]
    with pytest.raises(InputError, match="does not have the version 'x'") as raised:
        parse({"name": "small", "releases": releases}).find("u", channel=None, version="x")
    assert raised.value.hint.endswith(f"{12:012x}, and 12 more")
