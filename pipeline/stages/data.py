"""The data files of a build."""

from pathlib import Path

from pipeline.recipe.recipe import Recipe
from validation.data import demo_texts


def data_files(recipe: Recipe, head: str) -> dict[str, Path]:
    """The evaluation and the calibration data of `recipe`, or else the demo's for `head`, by their purpose.

    Data that neither has are left out.
    """
    files = {
        "evaluation": recipe.evaluation or demo_texts(head, "evaluation"),
        "calibration": recipe.calibration or demo_texts(head, "calibration"),
    }
    return {purpose: path for purpose, path in files.items() if path is not None}
