"""Optimum's dynamic INT8 quantization per channel, which its documentation proposes for CPUs with VNNI."""

from pathlib import Path


def quantize(source: Path, destination: Path) -> None:
    """Quantize the only ONNX file in the folder `source` into the folder `destination`."""
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    ORTQuantizer.from_pretrained(source).quantize(
        save_dir=destination,
        quantization_config=AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True),
    )


def optimize(source: Path, destination: Path) -> None:
    """Optimize the export in `source` with Optimum's O2, in a form that ORTQuantizer accepts.

    ORTQuantizer asks for the types of the fused operators' outputs. ONNX's shape inference does not know them, and
    Optimum does not have an option for them, so this function writes them into the graph.
    """
    import onnx
    from optimum.onnxruntime import ORTModelForSequenceClassification, ORTOptimizer
    from optimum.onnxruntime.configuration import AutoOptimizationConfig

    model = ORTModelForSequenceClassification.from_pretrained(source)
    ORTOptimizer.from_pretrained(model).optimize(
        save_dir=destination, optimization_config=AutoOptimizationConfig.O2()
    )
    (path,) = destination.glob("*.onnx")
    graph = onnx.load(path)
    for node in graph.graph.node:
        if node.domain == "com.microsoft":
            value = onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)
            graph.graph.value_info.append(value)
    onnx.save(graph, path)


def export(checkpoint: Path, destination: Path) -> None:
    """Export the classifier at `checkpoint` with Optimum into `destination`."""
    from optimum.onnxruntime import ORTModelForSequenceClassification

    ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True).save_pretrained(destination)
