"""Graphs of other exporters stop the stage that compiles, and nothing is left of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.graph.interface import Interface
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.stages.compile import VARIANT, compile_variant
from pipeline.stages.export import GRAPH, INTERFACE, export
from pipeline.stages.load import load
from pipeline.store.work import WorkFolder
from tests.conftest import save_checkpoint
from tests.graphs import exported, renamed, torchscript
from tests.integration.conftest import Listener, write_evaluation

CPU = "onnxruntime-cpu"
HEAD = "sequence_classification"
PRECISIONS = ("fp32", "int8", "int8_7bit")


class _OtherExport:
    """A stage of the work folder whose graph another exporter wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.digest = "another"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, whose export is made once in the work folder beside it."""
    folder = tmp_path_factory.mktemp("transform")
    save_checkpoint(HEAD, folder / "checkpoint")
    return folder


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "other_graph", [lambda: renamed(exported(), "Div"), torchscript], ids=["renamed", "torchscript"]
)
def test_the_stage_compile_stops_and_leaves_nothing(
    other_graph: Callable[[], graph_file.Graph],
    precision: str,
    shared: Path,
    tmp_path: Path,
) -> None:
    variant = VariantName(target=CPU, precision=precision)
    texts = write_evaluation(HEAD, tmp_path)
    recipe = Recipe(
        name="broken", checkpoint=str(shared / "checkpoint"), variants=(variant,), calibration=texts
    )
    source = load(recipe)
    work = WorkFolder(shared / "work", Listener())
    exported_stage = export(work, recipe, source)
    interface = Interface.read(exported_stage.folder / INTERFACE)
    replaced = tmp_path / "replaced"
    graph_file.save(other_graph(), replaced / GRAPH)
    interface.write(replaced / INTERFACE)
    with pytest.raises(ContractError, match=r"matched \d times, must match at least \d") as caught:
        compile_variant(work, recipe, source, variant, _OtherExport(replaced))  # type: ignore[arg-type]
    assert caught.value.name in recipe.plan(variant, HEAD).passes
    assert not list((shared / "work").rglob(VARIANT))
