"""OpenVINO INT8 with float32 between the integer products, where OpenVINO's own choice is bf16."""

from functools import partial

from distilforge.machine.openvino_bf16 import openvino_bf16

from bench.models import openvino_model
from bench.subjects import Subject, subjects


def _obstacle() -> str | None:
    observed = openvino_bf16()
    return f"OpenVINO INT8 computes in f32 anyway, since {observed}" if observed is not None else None


subjects.add(
    Subject(
        name="openvino-int8-f32",
        title="OpenVINO INT8 f32",
        family="OpenVINO INT8",
        settings=(
            "NNCF quantize(model_type=TRANSFORMER, preset=PERFORMANCE), f32 between the integer products, "
            f"{openvino_model.OPENED}"
        ),
        packages=("openvino", "nncf", "torch", "transformers"),
        prepare=openvino_model.prepare_int8,
        open=partial(openvino_model.open_model, precision="f32"),
        obstacle=_obstacle,
    )
)
