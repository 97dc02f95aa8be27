"""The commands for stores, one after the other, on one folder."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from tests.stores import small_release


def run(*arguments: str | Path, code: int = 0) -> str:
    """stdout of `distilforge` with `arguments`; stderr if it fails, as it must with another `code`."""
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert ran.exit_code == code, ran.output
    return ran.stderr if code else ran.stdout


def test_from_a_push_to_a_pruning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url = tmp_path / "store"
    first, second, third, fourth = (
        run("push", small_release(tmp_path, number), "--to", url).strip() for number in range(4)
    )
    assert run("promote", url, first, "--to", "stable").strip() == f"stable: new -> {first}"
    assert run("promote", url, second, "--to", "stable").strip() == f"stable: {first} -> {second}"
    lines = run("releases", url).splitlines()
    assert lines[0] == "small"
    assert [line.split()[:2] for line in lines[2:]] == [
        [fourth, "latest"],
        [third, "-"],
        [second, "stable"],
        [first, "-"],
    ]
    assert json.loads(run("releases", url, "--json"))["channels"]["stable"]["history"] == [first]
    pulled = run("pull", url, "--channel", "stable", "--output", tmp_path / "pulled").strip()
    assert pulled == str(tmp_path / "pulled" / second)
    assert run("rollback", url).strip() == f"stable: {second} -> {first}"
    assert "does not remember another version" in run("rollback", url, code=2)
    pruned = json.loads(run("prune", url, "--keep", "1", "--json"))
    assert pruned["removed"] == [second]
    assert set(pruned["protected"]) == {first, third}


def test_push_again_what_is_damaged(tmp_path: Path) -> None:
    url, release = tmp_path / "store", small_release(tmp_path, 1)
    to = ("push", release, "--to", url)
    assert "so that there is nothing to repair" in run(*to, "--repair", code=2)
    run(*to)
    assert json.loads(run(*to, "--repair", "--json"))["new"] is False
    next(url.rglob("model.onnx")).write_bytes(b"x")
    assert json.loads(run(*to, "--json"))["new"] is False
    assert json.loads(run(*to, "--repair", "--json"))["new"] is True
    assert json.loads(run(*to, "--repair", "--json"))["new"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("validate", "a", "--to", "x"), "does not publish one"),
        (
            ("build", "a", "b", "--to", "x"),
            "2 releases would go to the same place, since --to does not have {name}",
        ),
        (("pull", "nothing-here", "--output", "o"), "there are no releases at"),
        (("promote", "nothing-here", "0123456789ab", "--to", "stable"), "there are no releases at"),
    ],
)
def test_what_cannot_be(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert message in run(*arguments, code=2)
