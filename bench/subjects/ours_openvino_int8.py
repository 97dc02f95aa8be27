"""The INT8 file of this project for OpenVINO."""

from functools import partial

from bench.models import release_folder
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="ours-openvino-int8",
        title="distilforge OpenVINO INT8",
        settings="distilforge compile --variant openvino:int8, opened with the engine of the runtime",
        packages=("openvino",),
        prepare=partial(release_folder.prepare, variant="openvino:int8"),
        open=release_folder.open_variant,
    )
)
