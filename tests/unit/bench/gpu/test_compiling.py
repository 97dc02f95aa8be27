"""Engines are compiled for the shapes that are timed."""

import tomllib
from pathlib import Path

import pytest
from distilforge.timing.shape import Shape

from bench.gpu import compiling
from bench.gpu.shapes import SHAPES
from pipeline.recipe import toml


@pytest.mark.parametrize("shapes", [SHAPES, (Shape(batch=3, tokens=20),)])
def test_every_shape_lies_in_the_spans(tmp_path: Path, shapes: tuple[Shape, ...]) -> None:
    checkpoint = tmp_path / "check point"
    path = tmp_path / "bench.toml"
    path.write_text(compiling.recipe_text(checkpoint, "tensorrt-rtx:fp16", shapes))
    recipe = toml.read(path)
    assert str(checkpoint) == recipe.checkpoint
    assert [str(variant) for variant in recipe.variants] == ["tensorrt-rtx:fp16"]
    for shape in shapes:
        assert shape.batch in recipe.spans["batch"]
        assert shape.tokens in recipe.spans["sequence"]


def test_the_shapes_of_a_run_reach_the_processes_that_compile(tmp_path: Path) -> None:
    assert compiling._shapes(tmp_path) == SHAPES
    shapes = (Shape(batch=3, tokens=20), Shape(batch=1, tokens=8))
    compiling.write_shapes(tmp_path, shapes)
    assert compiling._shapes(tmp_path) == shapes
    spans = tomllib.loads(compiling.recipe_text(tmp_path, "a:b", shapes))["spans"]
    assert spans == {"batch": [1, 3, 3], "sequence": [1, 20, 20]}
