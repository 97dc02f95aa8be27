"""OpenVINO with the INT8 post-training quantization that NNCF has for transformers, in OpenVINO's own precision."""

from functools import partial

from bench.models import openvino_model
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="openvino-int8",
        title="OpenVINO INT8",
        settings=(
            "NNCF quantize(model_type=TRANSFORMER, preset=PERFORMANCE), between the integer products OpenVINO's choice "
            f"of bf16 or f32 for the processor, {openvino_model.OPENED}"
        ),
        packages=("openvino", "nncf", "torch", "transformers"),
        prepare=openvino_model.prepare_int8,
        open=partial(openvino_model.open_model, precision=None),
    )
)
