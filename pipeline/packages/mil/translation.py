"""Translates a graph of ONNX into a Core ML model."""

from collections.abc import Mapping

import coremltools
import numpy as np
import onnx_ir
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import Function, Program, get_new_symbol, types
from coremltools.models import MLModel
from distilforge.manifest import Span

from pipeline.errors import StageError
from pipeline.graph import values
from pipeline.graph.file import Graph
from pipeline.packages.mil.operators import OPERATORS, Value

_BATCH = "batch"
TARGET = coremltools.target.iOS16
"""The oldest system that opens the model: iOS 16, macOS 13."""


def translate(graph: Graph, spans: Mapping[str, Span], *, batch: int, half: bool) -> MLModel:
    """The Core ML model of `graph` for `batch` texts, with the other named axes as long as `spans` says.

    `half` computes in fp16 and halves the weights; without it the model computes in fp32, as `graph` does.

    Raises StageError if the graph has an operator, or a form of one, that has no translation.
    """
    _check_operators(graph)
    ranges = {name: coremltools.RangeDim(span.low, span.high, span.usual) for name, span in spans.items()}
    # An axis has the same symbol in every input, so that it is known that their sizes are equal
    symbols = {name: get_new_symbol() for name in spans}
    inputs = [
        coremltools.TensorType(
            name=value.name, shape=_shape(value, {**ranges, _BATCH: batch}), dtype=np.int32
        )
        for value in graph.graph.inputs
    ]
    precision = coremltools.precision.FLOAT16 if half else coremltools.precision.FLOAT32
    return coremltools.convert(
        _program(graph, {**symbols, _BATCH: batch}),
        inputs=inputs,
        convert_to="mlprogram",
        compute_precision=precision,
        minimum_deployment_target=TARGET,
        skip_model_load=True,
    )


def _check_operators(graph: Graph) -> None:
    unknown = {
        node.op_type for node in graph.graph.all_nodes() if (node.domain, node.op_type) not in OPERATORS
    }
    if unknown:
        raise StageError(
            "package",
            f"Core ML model: the graph has operators that have no translation: {', '.join(sorted(unknown))}",
            hint="package another variant with --variant",
        )


def _shape(value: onnx_ir.Value, axes: Mapping[str, object]) -> tuple[object, ...]:
    """The shape of an input, with the named axes replaced by what `axes` has for them."""
    return tuple(size if isinstance(size, int) else axes[str(size.value)] for size in values.shape_of(value))


def _program(graph: Graph, axes: Mapping[str, object]) -> Program:
    placeholders = {
        str(value.name): Builder.placeholder(_shape(value, axes), dtype=types.int32, name=value.name)
        for value in graph.graph.inputs
    }
    with Function(placeholders, opset_version=TARGET) as function:
        known: dict[str, Value] = dict(function.inputs)
        for node in graph.graph:
            inputs = tuple(None if value is None else _value(value, known) for value in node.inputs)
            (output,) = node.outputs
            known[str(output.name)] = OPERATORS[node.domain, node.op_type](node, inputs)
        # An identity has the name that the graph's output must have
        function.set_outputs(
            [Builder.identity(x=known[str(value.name)], name=value.name) for value in graph.graph.outputs]
        )
    program = Program()
    program.add_function("main", function)
    return program


def _value(value: onnx_ir.Value, known: Mapping[str, Value]) -> Value:
    """A value that was computed, or a constant in a type that Core ML has."""
    array = values.array_of(value)
    if array is None:
        return known[str(value.name)]
    if array.dtype != np.int64:
        return array
    bounds = np.iinfo(np.int32)
    return np.clip(array, bounds.min, bounds.max).astype(np.int32)
