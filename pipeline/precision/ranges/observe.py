"""Running the float graph on calibration data to look at values inside it, one batch at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.errors import StageError
from pipeline.graph import session as graph_session
from pipeline.graph.file import Graph
from pipeline.precision import Calibration, Feeds
from pipeline.precision.ranges.statistics import Statistics

Floats = npt.NDArray[np.float32]
ChosenRange = TypeVar("ChosenRange")


def ranges(
    graph: Graph,
    values: Sequence[onnx_ir.Value],
    calibration: Calibration,
    method: str,
    choose: Callable[[Statistics, str], ChosenRange],
) -> dict[str, ChosenRange]:
    """The range of each of `values`, by its name; `choose` takes its statistics and the calibration method.

    Raises what `statistics` and `choose` raise.
    """
    gathered = statistics(graph, values, calibration, histogram=method != "minmax")
    return {name: choose(of_value, method) for name, of_value in gathered.items()}


def statistics(
    graph: Graph, values: Sequence[onnx_ir.Value], calibration: Calibration, *, histogram: bool
) -> dict[str, Statistics]:
    """Statistics of `values` over the real tokens of the calibration data, by the values' names.

    Padding is left out: no answer depends on it, and its values would widen the ranges. Raises StageError for
    calibration without a batch or for another graph, and for NaN and infinity.
    """
    by_name = {str(value.name): value for value in values}
    gathered = {name: Statistics(name, histogram=histogram) for name in by_name}
    for feeds, arrays in run_batches(graph, tuple(by_name.values()), calibration()):
        is_real = feeds["attention_mask"].reshape(-1) != 0
        for (name, value), array in zip(by_name.items(), arrays, strict=True):
            gathered[name].add(_real_rows(array, is_real) if _has_tokens(graph, value) else _rows(array))
    return gathered


def run_batches(
    graph: Graph, values: Sequence[onnx_ir.Value], batches: Iterable[Feeds]
) -> Iterator[tuple[Feeds, list[Floats]]]:
    """Each batch with the arrays of `values`; no batch is run where `values` is empty.

    Raises StageError where there is no batch, or where the batches do not have the graph's inputs.
    """
    import onnxruntime

    if not values:
        return
    batch = None
    options = onnxruntime.SessionOptions()
    # Repacked copies of the weights would double the memory.
    options.add_session_config_entry("session.disable_prepacking", "1")
    # Products of 8-bit numbers stay products of floats: ONNX Runtime would fuse e4m3 ones into an operator that
    # does not take them.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    # In the graph's own order, a value is freed as soon as the nodes that read it have run.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    with _as_outputs(graph, values):
        session = graph_session.session(graph, options)
    names = [str(value.name) for value in values]
    run_options = onnxruntime.RunOptions()
    # Nodes after the values, such as logits over a vocabulary, need not run.
    run_options.only_execute_path_to_fetches = True
    inputs = [str(value.name) for value in graph.graph.inputs]
    for batch in batches:
        if set(inputs) != set(batch):
            raise StageError(
                "quantize",
                f"the graph needs the inputs {', '.join(inputs)}, but the calibration data has {', '.join(batch)}",
                hint="give a graph of a DistilBERT, with the head that --head or the checkpoint names",
            )
        fed = {str(value.name): _as_input(value, batch[str(value.name)]) for value in graph.graph.inputs}
        yield batch, session.run(names, fed, run_options)
    if batch is None:
        raise StageError(
            "quantize",
            "there is no calibration data: not one batch",
            hint="give texts like those the model will read: --calibration texts.jsonl",
        )


def _as_input(value: onnx_ir.Value, array: npt.NDArray[np.int64]) -> npt.NDArray[np.generic]:
    """`array` in the type of the graph's input `value`, such as int32; StageError where `value` has other sizes."""
    sizes = tuple(array.shape) if value.shape is None else tuple(value.shape)
    fits = len(sizes) == array.ndim and all(
        size == found for size, found in zip(sizes, array.shape, strict=True) if isinstance(size, int)
    )
    if not fits:
        raise StageError(
            "quantize",
            f"the graph's input {value.name} has the shape {_shape(sizes)}, and a batch of the calibration data has "
            f"{_shape(array.shape)}",
            hint="give a graph whose axes have no fixed size: `distilforge export` writes one",
        )
    return array if value.dtype is None else array.astype(value.dtype.numpy(), copy=False)


def _shape(sizes: Sequence[int | onnx_ir.SymbolicDim]) -> str:
    return f"({', '.join(str(size) for size in sizes)})"


@contextmanager
def _as_outputs(graph: Graph, values: Sequence[onnx_ir.Value]) -> Iterator[None]:
    """Make `values` outputs of the graph within the context."""
    outputs = graph.graph.outputs
    added = [value for value in values if not value.is_graph_output()]
    outputs.extend(added)
    try:
        yield
    finally:
        for _ in added:
            outputs.pop()


def _has_tokens(graph: Graph, value: onnx_ir.Value) -> bool:
    """Whether an axis of `value` is named after the tokens; True where the names are not known.

    The number of rows is not enough: a value with a row for each head may have as many rows as the batch has tokens.
    """
    mask = next((known for known in graph.graph.inputs if known.name == "attention_mask"), None)
    if mask is None or mask.shape is None or value.shape is None or isinstance(mask.shape[-1], int):
        return True
    return any(str(mask.shape[-1]) in str(size).split("*") for size in value.shape)


def _rows(array: Floats) -> Floats:
    """(N, channels)."""
    return array.reshape(-1, array.shape[-1])


def _real_rows(array: Floats, is_real: npt.NDArray[np.bool_]) -> Floats:
    """(N, channels): the rows of real tokens, or all rows where the array does not have one for each token."""
    rows = _rows(array)
    return rows[is_real] if len(rows) == len(is_real) and not is_real.all() else rows
