"""The engines of the demo releases on this machine's GPU, validated against eager PyTorch on the evaluation data.

`make` builds the releases, here or on a machine without a GPU; bring `artifacts/` and `demo/checkpoints/` along.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from distilforge.cuda.driver import survey
from distilforge.manifest import Manifest
from distilforge.release import read_manifest, resolve

from pipeline.recipe import toml as recipe_toml
from validation.answers import oracle
from validation.reports.report import Report
from validation.validate import validate

DRIVER = survey()
ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
NAMES = [path.stem for path in RECIPES]

pytestmark = [
    pytest.mark.skipif(isinstance(DRIVER, str), reason=f"{DRIVER}"),
]


def _release(name: str) -> Path:
    folder = ROOT / "artifacts" / name
    if not folder.is_dir():
        pytest.skip(f"there is no release {folder}: `make` builds it")
    return resolve(folder)


def _engines(manifest: Manifest) -> tuple[str, ...]:
    """The engines that run on this machine; skips the test with the reasons where there are none."""
    engines = [variant for variant in manifest.variants if variant.compiled is not None]
    obstacles = {variant.name: oracle.obstacle(variant) for variant in engines}
    able = tuple(name for name, obstacle in obstacles.items() if obstacle is None)
    if not able:
        reasons = "; ".join(f"{name}: {obstacle}" for name, obstacle in obstacles.items())
        pytest.skip(f"{manifest.name} has no engine that runs here: {reasons or 'it holds none at all'}")
    return able


@cache
def _report(name: str) -> Report:
    recipe = recipe_toml.read(ROOT / "recipes" / f"{name}.toml")
    manifest = read_manifest(_release(name))
    # Latency is measured as briefly as possible, since no test asserts it; `make bench-gpu` measures it
    gates = replace(recipe.gates, shapes=((1, 8),), seconds_per_shape=0.0, speedup=0.0, sibling_speedup=0.0)
    return validate(
        _release(name),
        Path(recipe.checkpoint),
        manifest.head,
        evaluation=recipe.evaluation,
        gates=gates,
        progress=lambda line: None,
    )


@pytest.mark.parametrize("name", NAMES)
def test_engines_answer_as_eager_does_on_the_evaluation_set(name: str) -> None:
    engines = _engines(read_manifest(_release(name)))
    reports = {variant.name: variant for variant in _report(name).variants if variant.name in engines}
    assert set(reports) == set(engines)
    failures = {
        engine: [
            f"{verdict.check}: {verdict.observed:.4g}, {verdict.comparison} {verdict.limit:.4g} {verdict.unit}"
            for verdict in variant.verdicts
            if not verdict
        ]
        for engine, variant in reports.items()
    }
    assert not any(failures.values()), failures


@pytest.mark.parametrize("name", NAMES)
def test_engines_ran_themselves(name: str) -> None:
    """Without a device, the engine's graph would be validated instead, and its notes would say so."""
    engines = _engines(read_manifest(_release(name)))
    for variant in _report(name).variants:
        if variant.name in engines:
            assert variant.measurements, f"{variant.name} was not timed, so it was not run"
            assert not any("Not run on a device" in note for note in variant.notes)
