"""The exporter and the INT8 quantization of transformers 5, which take the place of Optimum's."""

from pathlib import Path

from bench.contest.base_subject import Answer
from bench.models import transformers_exporter
from bench.models.onnx_session import open_session
from bench.subjects import Subject, subjects

FILE = "model.onnx"


def _prepare(checkpoint: Path, folder: Path) -> None:
    transformers_exporter.export(checkpoint, folder / FILE)


def _open(folder: Path, threads: int) -> Answer:
    return open_session(folder / FILE, threads)


subjects.add(
    Subject(
        name="transformers5-int8",
        title="transformers 5 INT8",
        settings=(
            f"transformers {transformers_exporter.VERSION} OnnxExporter(dynamic=True, ort_fusions=cpu), "
            "OnnxRuntimeQuantizer(OnnxRuntimeDynamicConfig(per_channel=True, weight_type=QInt8))"
        ),
        packages=("torch", "onnx", "onnxscript", "onnxruntime", "pip"),
        prepare=_prepare,
        open=_open,
    )
)
