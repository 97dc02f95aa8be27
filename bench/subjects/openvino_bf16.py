"""OpenVINO in bf16, on processors that multiply bf16 matrices: AMX-BF16 or AVX512-BF16."""

from functools import partial

from distilforge.machine.openvino_bf16 import openvino_bf16

from bench.models import openvino_model
from bench.subjects import Subject, subjects

subjects.add(
    Subject(
        name="openvino-bf16",
        title="OpenVINO bf16",
        settings=f"openvino.convert_model, INFERENCE_PRECISION_HINT bf16, {openvino_model.OPENED}",
        packages=("openvino", "torch", "transformers"),
        prepare=openvino_model.prepare,
        open=partial(openvino_model.open_model, precision="bf16"),
        obstacle=openvino_bf16,
    )
)
