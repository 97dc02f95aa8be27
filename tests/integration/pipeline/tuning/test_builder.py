"""Plans compiled and opened for a search, and which of their files a search keeps."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from distilforge.timing.process import open_workers
from distilforge.timing.shape import Shape

from pipeline import targets
from pipeline.recipe.plan import Plan
from pipeline.recipe.recipe import Recipe
from pipeline.stages.load import Source, load
from pipeline.store.work import Stage
from pipeline.tuning.builder import MOST_COMPILED, PlanBuilder
from tests.conftest import save_checkpoint
from tests.integration.conftest import QUICK, shared_export

PASSES = ("bias_gelu", "skip_layer_norm", "packed_qkv", "embeddings", "constants", "transposes")
PLANS = tuple(Plan(passes=(name,)) for name in PASSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRecipe:
    """What a builder starts from; it changes none of it."""

    recipe: Recipe
    source: Source
    stage: Stage


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportedRecipe:
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(20)  # the weights of other tests, so that the export is shared
    checkpoint = save_checkpoint("sequence_classification", folder / "checkpoint", n_layers=1)
    recipe = Recipe(name="tiny", checkpoint=str(checkpoint), gates=QUICK)
    return ExportedRecipe(recipe=recipe, source=load(recipe), stage=shared_export(recipe))


@pytest.fixture
def builder(exported: ExportedRecipe, tmp_path: Path) -> PlanBuilder:
    return PlanBuilder(
        exported.recipe,
        exported.source,
        exported.stage,
        targets.find("onnxruntime-cpu", "fp32"),
        "fp32",
        threads=1,
        folder=tmp_path / "builder",
    )


def compiled(folder: Path) -> set[str]:
    return {path.name for path in (folder / "builder" / "variants").iterdir()}


def test_pinned_plans_keep_their_files_and_others_lose_them(builder: PlanBuilder, tmp_path: Path) -> None:
    pinned, *others = PLANS
    builder.open(pinned)
    (files,) = compiled(tmp_path)
    builder.pin([pinned])
    for plan in others:
        builder.open(plan)
    assert files in compiled(tmp_path)
    assert len(compiled(tmp_path)) == MOST_COMPILED < len(PLANS)
    builder.pin([])
    builder.open(Plan())
    assert files not in compiled(tmp_path)


def test_a_plan_answers_in_a_process_of_its_own(builder: PlanBuilder) -> None:
    """Plans that only differ in their session's settings share their files and are different subjects."""
    slow = Plan(session={"graph_optimization_level": "disable"})
    with open_workers([builder.subject(Plan()), builder.subject(slow)]) as workers:
        assert len({worker.name for worker in workers}) == 2
        for worker in workers:
            reply = worker.run(Shape(batch=2, tokens=8), settle=False, warm_ups=0, runs=3)
            assert reply.refusal == ""
            assert len(reply.seconds) == 3


def test_sessions_of_the_searching_process_do_not_spin(builder: PlanBuilder) -> None:
    plan = builder.open(Plan(session={"session.intra_op.allow_spinning": "1"}))
    assert plan.variant.session == {"session.intra_op.allow_spinning": "1"}
    assert plan.session.variant.session["session.intra_op.allow_spinning"] == "0"


def test_the_modules_that_can_be_quantized(builder: PlanBuilder) -> None:
    assert "classifier" in builder.modules
    assert "transformer.layer.0.attention.q_lin" in builder.modules
    assert "embeddings.word_embeddings" in builder.modules
    assert len(set(builder.modules)) == len(builder.modules)
