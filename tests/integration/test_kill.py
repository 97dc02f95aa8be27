"""SIGKILL at twenty random moments of a build, then the same build again: a correct release every time.

A process that has everything imported forks the builds, so that a build takes a second or two and the moments fall
into its stages and not into imports.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from distilforge.errors import ReleaseError
from distilforge.release import resolve, verify

from pipeline.recipe.recipe import Recipe
from tests.integration.conftest import write_recipe

ROOT = Path(__file__).parents[2]
MOMENTS = 20
# Exporting takes most of a build. The other moments fall into builds that find it done, and so into all other stages.
FROM_NOTHING = 6

Build = Callable[[Path], object]


def serve(recipe_path: Path, root: Path, seed: int) -> None:
    """Build, kill and build again MOMENTS times; print a JSON line for each. Runs in the forking process."""
    exported = root / "warm" / ".work" / "export"
    build = _warmed(recipe_path, root / "warm")
    seconds = {prepared: _timed(build, _prepare(root / "timed", prepared)) for prepared in (None, exported)}
    moments = random.Random(seed)
    for number in range(MOMENTS):
        prepared = None if number < FROM_NOTHING else exported
        artifacts = _prepare(root / f"artifacts-{number}", prepared)
        delay = seconds[prepared] * moments.random()
        child = _fork(build, artifacts)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        reached = sorted(path.parent.parent.name for path in artifacts.glob(".work/*/*/stage.json"))
        visible = _visible(artifacts)
        again = os.waitstatus_to_exitcode(os.waitpid(_fork(build, artifacts), 0)[1])
        asides = [str(path) for path in artifacts.glob(".work/*/*") if path.suffix in (".aside", ".old")]
        print(  # noqa: T201 - the parent process reads it
            json.dumps(
                {
                    "delay": delay,
                    "of": seconds[prepared],
                    "reached": reached,
                    "visible": visible,
                    "again": again,
                    "finally": _visible(artifacts),
                    "asides": asides,
                }
            ),
            flush=True,
        )
        shutil.rmtree(artifacts)


def _warmed(recipe_path: Path, artifacts: Path) -> Build:
    """A function that builds the recipe into a folder, after one build in this process has imported everything."""
    from pipeline.build import build
    from pipeline.recipe import toml as recipe_toml
    from tests.integration.conftest import Listener

    recipe = recipe_toml.read(recipe_path)
    build(recipe, artifacts, Listener())
    return lambda folder: build(recipe, folder, Listener())


def _prepare(artifacts: Path, exported: Path | None) -> Path:
    """An artifacts folder: new, or with the stage `exported` done."""
    shutil.rmtree(artifacts, ignore_errors=True)
    if exported is not None:
        shutil.copytree(exported, artifacts / ".work" / "export")
    return artifacts


def _timed(build: Build, artifacts: Path) -> float:
    started = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(_fork(build, artifacts), 0)[1]) == 0
    return time.monotonic() - started


def _fork(build: Build, artifacts: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        build(artifacts)
        code = 0
    finally:
        os._exit(code)


def _visible(artifacts: Path) -> str:
    """What a reader sees of the release: nothing, a whole one, or what is wrong with it."""
    name = artifacts / "tiny"
    if not name.exists():
        return "nothing"
    strangers = {path.name for path in name.iterdir()} - {"latest"}
    try:
        for version in strangers:
            verify(name / version)
        if not (name / "latest").is_symlink():
            return "no latest"
        return verify(resolve(name)).version
    except ReleaseError as error:
        return f"damaged: {error}"


def test_killed_at_random_moments(tiny: Recipe, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**9)
    arguments = f"Path({str(write_recipe(tiny, tmp_path))!r}), Path({str(tmp_path)!r}), {seed}"
    script = f"from pathlib import Path\nfrom tests.integration.test_kill import serve\nserve({arguments})"
    # One thread in every pool: a forked process has none of its parent's others.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    outcomes = [json.loads(line) for line in ran.stdout.splitlines()]
    told = f"seed {seed}: {json.dumps(outcomes, indent=1)}"
    assert len(outcomes) == MOMENTS, told
    versions = {outcome["finally"] for outcome in outcomes}
    assert len(versions) == 1, told
    (version,) = versions
    assert len(version) == 12, told
    for outcome in outcomes:
        assert outcome["again"] == 0, told
        # Between the release's rename and that of `latest` there is a whole release without a name, never a part.
        assert outcome["visible"] in ("nothing", "no latest", version), told
        assert outcome["asides"] == [], told
    # The moments must have hit builds under way, in more than one place.
    assert len({tuple(outcome["reached"]) for outcome in outcomes}) > 1, told
