"""SIGKILL in every stage of a build, twenty times in all; the next build always goes on from what is left.

Each stage is killed several times at random moments, and every kill leaves its state to the next build. After each one,
whatever has its final name must be complete. In the end an undisturbed build must publish the right release.
"""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

from distilforge.errors import ReleaseError
from distilforge.release import resolve, verify

from pipeline.build import build
from pipeline.recipe import toml as recipe_toml
from pipeline.recipe.recipe import Recipe
from pipeline.store import digests
from tests.integration.conftest import Listener, write_recipe
from tests.integration.forked_builds import exit_code, fork, run_server

KILLS = {"export": 3, "compile": 3, "assemble": 3, "tokens": 2, "compare": 3, "validate": 2, "publish": 4}


class Stopwatch(Listener):
    """Remembers how long each stage took, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        super().finished(stage, result, seconds, reused=reused)
        self.seconds[stage] = seconds


class Announcer(Listener):
    """Writes the name of every stage into a pipe, when it starts and when it is found done."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe

    def started(self, stage: str, doing: str) -> None:
        os.write(self._pipe, f"{stage}\n".encode())

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        if reused:
            os.write(self._pipe, f"{stage}\n".encode())


def serve(recipe_path: str, root: str, seed: str) -> None:
    """Kill builds as KILLS says; print a JSON line for each, and one for the undisturbed build at the end."""
    recipe, artifacts = recipe_toml.read(Path(recipe_path)), Path(root) / "artifacts"
    build(recipe, Path(root) / "warm", Listener(), until="export")  # the exporter imports much when it runs
    stopwatch = Stopwatch()
    expected = build(recipe, Path(root) / "timed", stopwatch)
    moments = random.Random(seed)
    for stage, kills in KILLS.items():
        for _ in range(kills):
            delay = stopwatch.seconds[stage] * moments.random()
            code = kill_in_stage(recipe, artifacts, stage, delay)
            state = {"stage": stage, "delay": delay, "code": code, **state_of(artifacts)}
            print(json.dumps(state), flush=True)  # noqa: T201 - the test reads it
            if code == 0:
                shutil.rmtree(artifacts / "tiny")  # the build was quicker than the signal; publish again
    code = exit_code(fork(lambda: build(recipe, artifacts, Listener())))
    leftovers = [str(path) for path in artifacts.glob(".work/*/*") if path.suffix in (".aside", ".old")]
    end = {"code": code, "leftovers": leftovers, "expected": expected.folder.name, **state_of(artifacts)}
    print(json.dumps(end), flush=True)  # noqa: T201 - the test reads it


def kill_in_stage(recipe: Recipe, artifacts: Path, stage: str, delay: float) -> int:
    """Start a build, kill it `delay` seconds after it has come to `stage`, and return its exit code."""
    reader, writer = os.pipe()

    def work() -> None:
        os.close(reader)
        build(recipe, artifacts, Announcer(writer))

    child = fork(work)
    os.close(writer)
    with os.fdopen(reader) as announcements:
        for line in announcements:
            if line.strip() == stage:
                break
        time.sleep(delay)
        os.kill(
            child, signal.SIGKILL
        )  # a child that has ended stays in the process table until it is waited for
        return exit_code(child)


def state_of(artifacts: Path) -> dict[str, object]:
    """What a build and a reader would find: the stages with their final names, and the release."""
    stages = sorted(
        path.parent for path in artifacts.glob(".work/*/*/stage.json") if path.parent.suffix == ""
    )
    return {
        "stages": [folder.parent.name for folder in stages],
        "damaged": [str(folder) for folder in stages if is_damaged(folder)],
        "visible": visible(artifacts),
    }


def is_damaged(folder: Path) -> bool:
    recorded = json.loads((folder / "stage.json").read_text(encoding="utf-8"))["files"]
    return recorded != {
        name: {"sha256": entry.sha256, "bytes": entry.bytes}
        for name, entry in digests.record(folder / "files").items()
    }


def visible(artifacts: Path) -> str:
    """What a reader sees of the release: nothing, the version of a whole one, or what is wrong with it."""
    name = artifacts / "tiny"
    if not name.exists():
        return "nothing"
    versions = {path.name for path in name.iterdir()} - {"latest"}
    try:
        for version in versions:
            verify(name / version)
        if not (name / "latest").is_symlink():
            return "no latest"
        return verify(resolve(name)).version
    except ReleaseError as error:
        return f"damaged: {error}"


def test_killed_in_every_stage(tiny: Recipe, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**9)
    printed = run_server(
        "tests.integration.test_kill", "serve", write_recipe(tiny, tmp_path), tmp_path, seed, timeout=400
    )
    *outcomes, end = [json.loads(line) for line in printed.splitlines()]
    story = f"seed {seed}: {json.dumps([*outcomes, end], indent=1)}"
    assert len(outcomes) == sum(KILLS.values()), story
    for outcome in outcomes:
        # 0 if the build was done before the signal came
        assert outcome["code"] in (-signal.SIGKILL, 0), story
        assert outcome["damaged"] == [], story
        # Between the renaming of the release and that of `latest` there is a whole release without a name
        assert outcome["visible"] in ("nothing", "no latest", end["expected"]), story
        assert outcome["code"] != 0 or outcome["visible"] == end["expected"], story
    assert (end["code"], end["visible"], end["damaged"], end["leftovers"]) == (0, end["expected"], [], []), (
        story
    )
    # The signals must have hit running builds, in more than one place
    assert len({tuple(outcome["stages"]) for outcome in outcomes if outcome["code"]}) > 1, story
