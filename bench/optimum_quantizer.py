"""Optimum's dynamic INT8 for CPUs with VNNI, per channel, which is what its documentation proposes for them."""

from pathlib import Path


def quantize(source: Path, destination: Path) -> None:
    """Quantize the one ONNX file in `source` into `destination`."""
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    ORTQuantizer.from_pretrained(source).quantize(
        save_dir=destination,
        quantization_config=AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True),
    )


def optimize(source: Path, destination: Path) -> None:
    """Optimum's O2 of the export in `source`, in a form that ORTQuantizer accepts.

    ORTQuantizer asks for the type of what fused operators give, which ONNX's shape inference does not know, and Optimum
    has no option to say it; so the types are written into the graph.
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
    """Optimum's export of the classifier at `checkpoint`."""
    from optimum.onnxruntime import ORTModelForSequenceClassification

    ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True).save_pretrained(destination)
