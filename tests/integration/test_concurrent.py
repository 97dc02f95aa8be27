"""Builds at once: two of the same recipe, and one more from the same checkpoint."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from distilforge.release import resolve, verify

from pipeline.recipe.recipe import Recipe
from tests.integration.conftest import write_recipe
from tests.integration.forked_builds import exit_code, fork, run_server


def serve(artifacts: str, *recipes: str) -> None:
    """Run `distilforge build` for every recipe at once; print a JSON list of exit code, stdout and stderr for each."""
    from pipeline.cli.app import app

    children = []
    for number, recipe in enumerate(recipes):
        command = ["build", recipe, "--artifacts", artifacts, "--json"]
        outputs = [Path(f"{recipe}.{number}.{name}") for name in ("stdout", "stderr")]

        def work(command: list[str] = command, outputs: list[Path] = outputs) -> None:
            for stream, path in zip((sys.stdout, sys.stderr), outputs, strict=True):
                stream.flush()
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
            app(command)

        children.append((fork(work), outputs))
    results = [(exit_code(child), *(path.read_text() for path in outputs)) for child, outputs in children]
    print(json.dumps(results))  # noqa: T201 - the test reads it


def test_builds_at_once(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    other = replace(tiny, name="other")
    recipes = [write_recipe(recipe, tmp_path) for recipe in (tiny, tiny, other)]
    results = json.loads(
        run_server("tests.integration.test_concurrent", "serve", artifacts, *recipes, timeout=200)
    )
    assert [code for code, _, _ in results] == [0, 0, 0], results
    built = [json.loads(output) for _, output, _ in results]
    assert built[0]["folder"] == built[1]["folder"]
    assert sorted([built[0]["new"], built[1]["new"]]) == [False, True]
    assert built[2]["new"]
    for name in ("tiny", "other"):
        verify(resolve(artifacts / name))
        assert len(list((artifacts / name).iterdir())) == 2  # the version, and latest
    # One of the three exported, and the others took its graph
    assert len([folder for folder in (artifacts / ".work" / "export").iterdir() if folder.is_dir()]) == 1
    assert sum("export: done" in messages for _, _, messages in results) == 1
    assert sum("export: reused" in messages for _, _, messages in results) == 2
