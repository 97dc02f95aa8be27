"""The hub's API as huggingface_hub calls it, with a server of this project: the hub itself was not asked.

Every command is a process of its own, since huggingface_hub reads its environment when it is imported.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distilforge.release import resolve, verify

from tests.hub_server import REPOSITORY, Hub, hub_server
from tests.signed_release import sign, write_key
from tests.store_kills.kill import ROOT
from tests.stores import names_in, small_release

URL = f"hf://{REPOSITORY}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as hub:
        yield hub


def run(hub: Hub, folder: Path, *arguments: str | Path, code: int = 0) -> str:
    """What `python -m ARGUMENTS` prints."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "hf_test",
            "HF_HOME": str(folder / "hf"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'runtime'}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout.strip()


def test_push_and_pull(hub: Hub, tmp_path: Path) -> None:
    first, second = (small_release(tmp_path, number) for number in range(2))
    key = write_key(tmp_path / "keys")
    sign(second, key)
    for release in (first, second):
        run(hub, tmp_path, "tests.store_kills.publisher", release, URL)
    main = hub.commits[hub.revisions["main"]]
    # One commit for each push, with the release's files and nothing else but the hub's own
    assert set(main) == names_in(second) | {".gitattributes"}
    assert hub.revisions == {
        "main": hub.revisions[second.name],
        first.name: hub.revisions[first.name],
        second.name: hub.revisions["main"],
    }
    assert len(hub.commits) == 3
    pull = ("distilforge", "pull", URL, "--output", tmp_path / "pulled")
    assert run(hub, tmp_path, *pull, "--key", key.public) == str(tmp_path / "pulled" / second.name)
    assert run(hub, tmp_path, *pull, "--version", first.name) == str(tmp_path / "pulled" / first.name)
    assert verify(resolve(tmp_path / "pulled")).version == first.name
    main["onnx/model.onnx"] = b"\x7f" + main["onnx/model.onnx"][1:]
    again = ("distilforge", "pull", URL, "--output", tmp_path / "again")
    # The cache has the file that was pushed
    (tmp_path / "cache").rename(tmp_path / "old-cache")
    assert "SHA-256 should be" in run(hub, tmp_path, *again, code=4)


def test_a_push_that_was_ended_before_its_tag_is_continued(hub: Hub, tmp_path: Path) -> None:
    release = small_release(tmp_path, 0)
    run(hub, tmp_path, "tests.store_kills.publisher", release, URL)
    del hub.revisions[release.name]
    run(hub, tmp_path, "tests.store_kills.publisher", release, URL)
    assert hub.revisions[release.name] == hub.revisions["main"]


def test_a_publisher_that_was_overtaken_is_told(hub: Hub, tmp_path: Path) -> None:
    hub.overtaken = True
    error = run(hub, tmp_path, "tests.store_kills.publisher", small_release(tmp_path, 0), URL, code=1)
    assert "another publisher pushed to 'hf://team/small' at the same time" in error


@pytest.mark.parametrize(
    ("created", "problem"),
    [
        ("2026\x1b[2J", r"'2026\x1b[2J' is not a date"),
        ("9" * 300, "has 300 characters"),
    ],
)
def test_a_time_that_is_none_is_refused(hub: Hub, tmp_path: Path, created: str, problem: str) -> None:
    """Lists of releases are sorted by it and show it."""
    run(hub, tmp_path, "tests.store_kills.publisher", small_release(tmp_path, 0), URL)
    main = hub.commits[hub.revisions["main"]]
    manifest = json.loads(main["manifest.json"])
    manifest["provenance"]["created"] = created
    main["manifest.json"] = json.dumps(manifest).encode()
    error = run(hub, tmp_path, "distilforge", "pull", URL, "--output", tmp_path / "pulled", code=4)
    assert "'manifest.json' of 'hf://team/small' is damaged" in error
    assert problem in error
