"""Optimum's INT8 quantization of its O2-optimized export."""

from pathlib import Path

from bench.contest.base_subject import Answer
from bench.models import optimum_quantizer
from bench.models.onnx_session import open_session
from bench.subjects import Subject, subjects


def _prepare(checkpoint: Path, folder: Path) -> None:
    optimum_quantizer.export(checkpoint, folder / "exported")
    optimum_quantizer.optimize(folder / "exported", folder / "optimized")
    optimum_quantizer.quantize(folder / "optimized", folder / "quantized")


def _open(folder: Path, threads: int) -> Answer:
    return open_session(folder / "quantized" / "model_optimized_quantized.onnx", threads)


subjects.add(
    Subject(
        name="optimum-o2-int8",
        title="Optimum O2 INT8",
        family="Optimum INT8",
        settings=(
            "ORTModel export, ORTOptimizer O2, ORTQuantizer avx512_vnni(is_static=False, per_channel=True), after the "
            "types of the fused operators' outputs were written into the file, without which ORTQuantizer stops"
        ),
        packages=("optimum", "optimum-onnx", "transformers", "onnxruntime"),
        prepare=_prepare,
        open=_open,
    )
)
