"""Files behind URLs, and what cannot be opened."""

from pathlib import Path

import pytest
from distilforge.bulk.storage import Place
from distilforge.errors import InputError, UnavailableError


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
