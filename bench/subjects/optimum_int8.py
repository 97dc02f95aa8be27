"""Optimum's INT8 of its plain export."""

from pathlib import Path

from bench.contest.base_subject import Answer
from bench.models import optimum_quantizer
from bench.models.onnx_session import open_session
from bench.subjects import Subject, subjects


def _prepare(checkpoint: Path, folder: Path) -> None:
    optimum_quantizer.export(checkpoint, folder / "exported")
    optimum_quantizer.quantize(folder / "exported", folder / "quantized")


def _open(folder: Path, threads: int) -> Answer:
    return open_session(folder / "quantized" / "model_quantized.onnx", threads)


subjects.add(
    Subject(
        name="optimum-int8",
        title="Optimum INT8",
        family="Optimum INT8",
        settings=(
            "ORTModel export, ORTQuantizer avx512_vnni(is_static=False, per_channel=True); ONNX Runtime does all its "
            "optimizations when it loads the file"
        ),
        packages=("optimum", "optimum-onnx", "transformers", "onnxruntime"),
        prepare=_prepare,
        open=_open,
    )
)
