"""Releases with a second variant, which ONNX Runtime's own dynamic quantizer writes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from distilforge.machine.exact_int8 import PRECISE
from distilforge.manifest import PassRecord, Variant
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from tests.runtime_release import GRAPH, PASSED, read_manifest, record_again, write_manifest

QUANTIZED = "onnx/model_quantized.onnx"
DYNAMIC = PassRecord(name="int8_dynamic", rewrites=12)
INT8 = "onnxruntime-cpu:int8"


def add_int8(release: Path, *, passes: tuple[PassRecord, ...] = (DYNAMIC,)) -> Path:
    """Add the graph of `release` with 8-bit weights and activations as a variant, with `passes` in its manifest."""
    model = onnx.load(release / GRAPH)
    del model.graph.value_info[:]
    float_graph = release.with_name(f"{release.name}.onnx")
    onnx.save(model, float_graph)
    quantize_dynamic(float_graph, release / QUANTIZED, weight_type=QuantType.QInt8, per_channel=True)
    float_graph.unlink()
    manifest = read_manifest(release)
    variant = Variant(
        target="onnxruntime-cpu",
        precision="int8",
        files=(QUANTIZED,),
        session=dict(PRECISE),
        passes=passes,
        validated=True,
        verdicts=PASSED,
    )
    write_manifest(release, replace(manifest, variants=(*manifest.variants, variant)))
    record_again(release)
    return release


def change_weight(
    release: Path, name: str, change: Callable[[np.ndarray], np.ndarray], graph: str = GRAPH
) -> None:
    """Change one initializer in a graph of the release, as a faulty conversion would."""
    model = onnx.load(release / graph)
    (initializer,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    initializer.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(initializer).copy()), name))
    onnx.save(model, release / graph)
    record_again(release)
