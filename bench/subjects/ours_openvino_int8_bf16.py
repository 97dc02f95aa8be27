"""The INT8 file of this project for OpenVINO, with bf16 between the integer products."""

from functools import partial

from distilforge.machine.openvino_bf16 import openvino_bf16

from bench.models import release_folder
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="ours-openvino-int8-bf16",
        title="distilforge OpenVINO INT8 bf16",
        settings="distilforge compile --variant openvino:int8_bf16, opened with the engine of the runtime",
        packages=("openvino",),
        prepare=partial(release_folder.prepare, variant="openvino:int8_bf16"),
        open=release_folder.open_variant,
        obstacle=openvino_bf16,
    )
)
