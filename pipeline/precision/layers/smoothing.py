"""Moving outliers of activations into weights, channel by channel (Xiao et al. 2023, "SmoothQuant").

Channel j of an activation is divided by s_j, and row j of every weight that reads it is multiplied by s_j. The product
stays the same, and the activation is easier to quantize with one scale.

The division is free for the input of out_lin, the context of attention: v_lin can divide its output channels instead.
Elsewhere it stays in the graph as one multiplication, because a residual sum reads a layer norm's output too, and
GELU is not linear. So a plan names the modules whose inputs are worth it (docs/decisions/0008).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir
from distilforge.manifest import PassRecord

from pipeline.errors import UsageError
from pipeline.graph.builder import constant, insert
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator, other_input, sole_reader
from pipeline.precision import Calibration
from pipeline.precision.layers import linear as linear_layers
from pipeline.precision.layers.choose import named
from pipeline.precision.layers.linear import Linear
from pipeline.precision.layers.packed import PACKED
from pipeline.precision.ranges import observe
from pipeline.recipe.plan import Plan

Floats = npt.NDArray[np.float32]

# A factor further from 1 would only exchange the outliers of one side for those of the other.
LARGEST_FACTOR = 1e3


def factors(activation_C: Floats, weight_C: Floats, alpha: float) -> Floats:
    """s_j = max|X_j|^alpha / max|W_j|^(1 - alpha) (equation 4), and 1 for a channel that is 0 on either side.

    Both arguments are the largest magnitudes of C channels. Factors lie between 1/1000 and 1000.
    """
    usable = (activation_C > 0) & (weight_C > 0)
    x, w = np.where(usable, activation_C, 1.0), np.where(usable, weight_C, 1.0)
    unlimited = x**alpha / w ** (1.0 - alpha)
    limited: Floats = np.clip(unlimited, 1 / LARGEST_FACTOR, LARGEST_FACTOR).astype(np.float32)
    return limited


def apply(
    graph: Graph, plan: Plan, linears: Sequence[Linear], calibration: Calibration
) -> tuple[PassRecord, ...]:
    """Smooth the inputs of those of `linears` that `plan` names, in place; without smoothing, return no record."""
    if not plan.smoothing:
        return ()
    # A pattern may name an excluded module, so it is matched with all linear layers.
    modules = named(plan.smoothed, [linear.module for linear in linear_layers.find(graph)])
    chosen = tuple(linear for linear in linears if linear.module in modules)
    return (PassRecord(name="smoothing", rewrites=smooth(graph, chosen, calibration, plan.smoothing)),)


def smooth(graph: Graph, linears: Sequence[Linear], calibration: Calibration, alpha: float) -> int:
    """Smooth the activations that `linears` read, in place, and return their number.

    An activation that a tied weight reads stays as it is: the rows of that weight are an embedding's columns. Raises
    UsageError for an alpha outside 0 to 1, StageError where there is no calibration data.
    """
    if not 0.0 < alpha <= 1.0:
        raise UsageError(f"smoothing must lie between 0 and 1, found {alpha}", hint="0.5 is usual")
    readers: dict[onnx_ir.Value, list[Linear]] = defaultdict(list)
    for linear in linears:
        readers[linear.activation].append(linear)
    statistics = observe.statistics(graph, tuple(readers), calibration, histogram=False)
    all_linears = {linear.module: linear for linear in linear_layers.find(graph)}
    smoothed = 0
    for activation, group in readers.items():
        if any(linear.tied for linear in group):
            continue
        weight_C = np.max([np.abs(linear.weight).max(axis=1) for linear in group], axis=0)
        factor_C = factors(statistics[str(activation.name)].channels, weight_C, alpha)
        if not _divide_values(activation, group, all_linears, factor_C):
            _divide(graph, activation, group, factor_C)
        for linear in group:
            _store(linear.initializer, linear.weight * factor_C[:, None], transposed=linear.transposed)
        smoothed += 1
    return smoothed


def _divide_values(
    activation: onnx_ir.Value, group: Sequence[Linear], linears: Mapping[str, Linear], factor_C: Floats
) -> bool:
    """Divide the attention's values where `activation` is its context, and return whether it is.

    The context is an average of values, so dividing the channels of the values divides those of the context.
    """
    prefix, _, last = group[0].module.rpartition(".")
    if last != "out_lin" or len(group) > 1 or sole_reader(activation) is None:
        return False
    values = linears.get(f"{prefix}.{PACKED}") or linears.get(f"{prefix}.v_lin")
    if values is None or values.weight.shape[1] % len(factor_C):
        return False
    product = values.node.outputs[0]
    added = sole_reader(product)
    bias = other_input(added, product) if added is not None and is_operator(added, "Add") else None
    bias_O, weight_IO = array_of(bias), values.weight
    if bias is None or bias_O is None or bias_O.shape != weight_IO.shape[1:]:
        return False
    # In a packed projection, the values are the last third.
    scale_O = np.ones(weight_IO.shape[1], dtype=np.float32)
    scale_O[-len(factor_C) :] = factor_C
    _store(values.initializer, weight_IO / scale_O, transposed=values.transposed)
    _store(bias, np.asarray(bias_O, dtype=np.float32) / scale_O, transposed=False)
    return True


def _divide(graph: Graph, activation: onnx_ir.Value, group: Sequence[Linear], factor_C: Floats) -> None:
    """Divide `activation` for the layers in `group`; its other readers still read the undivided value."""
    first = group[0]
    divided = insert(
        graph,
        first.node,
        "Mul",
        [activation, constant(graph, f"{first.module}.smoothing", (1.0 / factor_C).astype(np.float32))],
        name=f"{first.module}/Mul",
        dtype=onnx_ir.DataType.FLOAT,
        shape=activation.shape,
    )
    for linear in group:
        linear.node.replace_input_with(0, divided)


def _store(value: onnx_ir.Value, array: npt.NDArray[np.generic], *, transposed: bool) -> None:
    """Let the initializer `value` hold `array`, or its transpose."""
    content = np.ascontiguousarray(array.T if transposed else array, dtype=np.float32)
    value.const_value = onnx_ir.tensor(content, name=value.name)
