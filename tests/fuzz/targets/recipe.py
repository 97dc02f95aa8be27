"""A recipe's TOML file, with its digest and the plans of its variants."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.recipe import toml
from tests.fuzz.mutations import document
from tests.fuzz.target import Input, Reader, Target, Use
from validation.errors import GatesError

_RECIPE = b"""
name = "sentiment"
checkpoint = "./checkpoint"
head = "sequence_classification"
variants = ["onnxruntime-cpu:fp32", "onnxruntime-cpu:int8"]
evaluation = "data.jsonl"
calibration = "data.jsonl"
exclude = ["qa_outputs"]
plans = "plans.toml"

[spans]
sequence = [1, 16, 64]

[engine]
buckets = [16, 64]
capabilities = ["8.6"]
optimization_level = 3
workspace_mb = 512

[gates]
margin = 0.01
confidence = 0.95
threads = 1
latency = "skip"
shapes = [[1, 16], [8, 64]]
seconds_per_shape = 0.5

[gates.limits.int8]
agreement = 0.98
noise = "off"
"""


def _samples(folder: Path) -> Sequence[Input]:
    return (Input(name="recipe.toml", content=_RECIPE),)


def _prepare(folder: Path, work: Path) -> Reader:
    (work / "data.jsonl").write_text('{"text": "good", "label": "LABEL_0"}\n', encoding="utf-8")
    presets = Path(toml.__file__).parent / "presets"
    shutil.copyfile(presets / "onnxruntime-cpu.toml", work / "plans.toml")

    def uses(value: Input) -> Sequence[Use]:
        path = work / value.name
        path.write_bytes(value.content)
        return (lambda: _use(path),)

    return uses


def _use(path: Path) -> None:
    recipe = toml.read(path)
    assert recipe.digest
    for variant in recipe.variants:
        recipe.plan(variant, recipe.head or "sequence_classification")


TARGET = Target(
    errors=(UsageError, GatesError),
    samples=_samples,
    mutate=lambda sample, choices: document.changed_toml(sample.content, choices),
    prepare=_prepare,
)
