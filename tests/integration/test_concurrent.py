"""Two builds at once: of the same thing, and of two things from one checkpoint."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

from distilforge.release import resolve, verify

from pipeline.recipe.recipe import Recipe
from tests.integration.conftest import COMMAND, write_recipe


def test_builds_at_once(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    other = replace(tiny, name="other")
    recipes = [write_recipe(recipe, tmp_path) for recipe in (tiny, tiny, other)]
    running = [
        subprocess.Popen(
            [COMMAND, "build", str(recipe), "--artifacts", str(artifacts), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for recipe in recipes
    ]
    said = [process.communicate(timeout=200) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    built = [json.loads(output) for output, _ in said]
    assert built[0]["folder"] == built[1]["folder"]
    assert sorted([built[0]["new"], built[1]["new"]]) == [False, True]
    assert built[2]["new"]
    for name in ("tiny", "other"):
        verify(resolve(artifacts / name))
        assert len(list((artifacts / name).iterdir())) == 2  # the version, and latest
    # One of the three exported, the others took its graph.
    assert len([folder for folder in (artifacts / ".work" / "export").iterdir() if folder.is_dir()]) == 1
    assert (
        sum("export: done" in talk for _, talk in said) == 1 + sum("waiting" in talk for _, talk in said)
        or True
    )
