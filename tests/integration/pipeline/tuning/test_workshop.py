"""Plans compiled and opened for a search, and what a search keeps of them."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from distilforge.timing.process import open_workers
from distilforge.timing.shape import Shape

from pipeline import targets
from pipeline.recipe.plan import Plan
from pipeline.recipe.recipe import Recipe
from pipeline.stages.export import export
from pipeline.stages.load import Source, load
from pipeline.store.work import Stage, WorkFolder
from pipeline.tuning.workshop import MOST_KEPT, Workshop
from tests.conftest import save_checkpoint
from tests.integration.conftest import QUICK, Listener

FUSIONS = ("bias_gelu", "skip_layer_norm", "packed_qkv", "embeddings", "constants", "transposes")
PLANS = tuple(Plan(fusions=(name,)) for name in FUSIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a workshop begins with; it changes none of it."""

    recipe: Recipe
    source: Source
    stage: Stage


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = save_checkpoint("sequence_classification", folder / "checkpoint", n_layers=1)
    recipe = Recipe(name="tiny", checkpoint=str(checkpoint), gates=QUICK)
    source = load(recipe)
    stage = export(WorkFolder(folder / "work", Listener()), recipe, source)
    return Exported(recipe=recipe, source=source, stage=stage)


@pytest.fixture
def workshop(exported: Exported, tmp_path: Path) -> Workshop:
    return Workshop(
        exported.recipe,
        exported.source,
        exported.stage,
        targets.find("onnxruntime-cpu", "fp32"),
        "fp32",
        threads=1,
        folder=tmp_path / "workshop",
    )


def compiled(folder: Path) -> set[str]:
    return {path.name for path in (folder / "workshop" / "variants").iterdir()}


def test_what_is_held_stays_and_others_go(workshop: Workshop, tmp_path: Path) -> None:
    held, *others = PLANS
    workshop.open(held)
    (kept,) = compiled(tmp_path)
    workshop.hold([held])
    for plan in others:
        workshop.open(plan)
    assert kept in compiled(tmp_path)
    assert len(compiled(tmp_path)) == MOST_KEPT < len(PLANS)
    workshop.hold([])
    workshop.open(Plan())
    assert kept not in compiled(tmp_path)


def test_a_plan_answers_in_a_process_of_its_own(workshop: Workshop) -> None:
    """Plans that differ in their session's settings only have the same files and are different subjects."""
    slow = Plan(session={"graph_optimization_level": "disable"})
    with open_workers([workshop.subject(Plan()), workshop.subject(slow)]) as workers:
        assert len({worker.name for worker in workers}) == 2
        for worker in workers:
            reply = worker.run(Shape(batch=2, tokens=8), settle=False, warm_ups=0, runs=3)
            assert reply.refused == ""
            assert len(reply.seconds) == 3


def test_sessions_of_the_searching_process_do_not_wait_actively(workshop: Workshop) -> None:
    opened = workshop.open(Plan(session={"session.intra_op.allow_spinning": "1"}))
    assert opened.variant.session == {"session.intra_op.allow_spinning": "1"}
    assert opened.session.variant.session["session.intra_op.allow_spinning"] == "0"
