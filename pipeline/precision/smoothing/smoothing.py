"""Moving outliers of activations into weights, channel by channel (Xiao et al. 2023, "SmoothQuant").

An activation's channel j is divided by s_j and row j of every weight that reads it multiplied by s_j, so that the
product stays what it was and the activation is easier to quantize with one scale. What attention averages (out_lin's
input) is divided at no cost, in v_lin, whose channels that only rescales. Elsewhere the division stays in the graph as
one multiplication: a layer norm's output also feeds a residual sum, and GELU is not linear. So a plan names the
modules whose inputs are worth it (docs/decisions/0008).
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
from pipeline.precision.ranges import observe
from pipeline.recipe.plan import Plan

Floats = npt.NDArray[np.float32]

# Factors further from 1 would only trade one side's outliers for the other's.
WIDEST = 1e3


def factors(activation_C: Floats, weight_C: Floats, alpha: float) -> Floats:
    """s_j = max|X_j|^alpha / max|W_j|^(1 - alpha) (equation 4), 1 for a channel that is 0 on either side."""
    usable = (activation_C > 0) & (weight_C > 0)
    x, w = np.where(usable, activation_C, 1.0), np.where(usable, weight_C, 1.0)
    found: Floats = np.clip(x**alpha / w ** (1.0 - alpha), 1 / WIDEST, WIDEST).astype(np.float32)
    return found


def apply(
    graph: Graph, plan: Plan, linears: Sequence[Linear], calibration: Calibration
) -> tuple[PassRecord, ...]:
    """Smooth what `linears` read, as far as `plan` names them, in place; nothing where it asks for no smoothing."""
    if not plan.smoothing:
        return ()
    # Of all linear layers: a plan's pattern is no mistake where what it names was excluded
    modules = named(plan.smoothed, [each.module for each in linear_layers.find(graph)])
    chosen = tuple(each for each in linears if each.module in modules)
    return (PassRecord(name="smoothing", rewrites=smooth(graph, chosen, calibration, plan.smoothing)),)


def smooth(graph: Graph, linears: Sequence[Linear], calibration: Calibration, alpha: float) -> int:
    """Smooth the activations that `linears` read, in place, and return how many there were.

    Raises UsageError for an alpha outside 0 to 1, StageError where there is no calibration data.
    """
    if not 0.0 < alpha <= 1.0:
        raise UsageError(f"smoothing must lie between 0 and 1, found {alpha}", hint="0.5 is usual")
    readers: dict[onnx_ir.Value, list[Linear]] = defaultdict(list)
    for each in linears:
        readers[each.activation].append(each)
    seen = observe.statistics(graph, tuple(readers), calibration, histogram=False)
    every = {each.module: each for each in linear_layers.find(graph)}
    smoothed = 0
    for activation, group in readers.items():
        # Rows of a tied weight are an embedding's columns, which nothing may rescale; and every reader must be one of
        # those whose weights take the factors.
        if any(each.tied for each in group):
            continue
        largest_C = seen[str(activation.name)].channels
        assert largest_C is not None
        weight_C = np.max([np.abs(each.weight).max(axis=1) for each in group], axis=0)
        factor_C = factors(largest_C, weight_C, alpha)
        if not _into_values(activation, group, every, factor_C):
            _divide(graph, activation, group, factor_C)
        for each in group:
            _store(each.stored, each.weight * factor_C[:, None], transposed=each.transposed)
        smoothed += 1
    return smoothed


def _into_values(
    activation: onnx_ir.Value, group: Sequence[Linear], every: Mapping[str, Linear], factor_C: Floats
) -> bool:
    """Divide the values that attention averages: the average of scaled channels is the scaled average."""
    prefix, _, last = group[0].module.rpartition(".")
    if last != "out_lin" or len(group) > 1 or sole_reader(activation) is None:
        return False
    values = every.get(f"{prefix}.qkv_lin") or every.get(f"{prefix}.v_lin")
    if values is None or values.weight.shape[1] % len(factor_C):
        return False
    product = values.node.outputs[0]
    added = sole_reader(product)
    bias = other_input(added, product) if added is not None and is_operator(added, "Add") else None
    numbers, weight_IO = array_of(bias), values.weight
    if bias is None or numbers is None or numbers.shape != weight_IO.shape[1:]:
        return False
    # In a packed projection the values are the last third.
    scale_O = np.ones(weight_IO.shape[1], dtype=np.float32)
    scale_O[-len(factor_C) :] = factor_C
    _store(values.stored, weight_IO / scale_O, transposed=values.transposed)
    _store(bias, np.asarray(numbers, dtype=np.float32) / scale_O, transposed=False)
    return True


def _divide(graph: Graph, activation: onnx_ir.Value, group: Sequence[Linear], factor_C: Floats) -> None:
    """Divide `activation` for the layers alone; what else reads it keeps it as it is."""
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
    for each in group:
        each.node.replace_input_with(0, divided)


def _store(value: onnx_ir.Value, array: npt.NDArray[np.generic], *, transposed: bool) -> None:
    stored = np.ascontiguousarray(array.T if transposed else array, dtype=np.float32)
    value.const_value = onnx_ir.tensor(stored, name=value.name)
