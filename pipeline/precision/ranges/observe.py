"""Running the float graph on calibration data and looking at values inside it, batch by batch; nothing is kept."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.errors import StageError
from pipeline.graph import session as graph_session
from pipeline.graph.file import Graph
from pipeline.precision import Calibration, Feeds
from pipeline.precision.ranges.ranges import Statistics

Floats = npt.NDArray[np.float32]


def statistics(
    graph: Graph, values: Sequence[onnx_ir.Value], calibration: Calibration, *, histogram: bool
) -> dict[str, Statistics]:
    """Statistics of `values` over the real tokens of the calibration data, by the values' names.

    Padding is left out: what it holds reaches no answer, and its values would widen the ranges. Raises StageError
    where there is no data, and for NaN and infinity.
    """
    names = [str(value.name) for value in values]
    found = {name: Statistics(name, histogram=histogram) for name in names}
    for feeds, arrays in run(graph, values, calibration()):
        real = feeds["attention_mask"].reshape(-1) != 0
        for value, name, array in zip(values, names, arrays, strict=True):
            found[name].add(_of_real_tokens(array, real) if _has_tokens(graph, value) else _rows(array))
    return found


def run(
    graph: Graph, values: Sequence[onnx_ir.Value], batches: Iterable[Feeds]
) -> Iterator[tuple[Feeds, list[Floats]]]:
    """Each batch with what `values` held; nothing where there are no values, StageError where there is no batch."""
    import onnxruntime

    if not values:
        return
    batch = None
    options = onnxruntime.SessionOptions()
    # Repacked copies of the weights would double the memory.
    options.add_session_config_entry("session.disable_prepacking", "1")
    # Products of 8-bit numbers are those of their floats; ONNX Runtime would fuse e4m3 ones into an operator that
    # does not take them
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    # In the graph's own order, a value that is looked at goes as soon as what comes after it has been computed.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.log_severity_level = 3
    with _also_outputs(graph, values):
        session = graph_session.session(graph, options)
    names = [str(value.name) for value in values]
    needed = onnxruntime.RunOptions()
    # What comes after the values, such as logits over a vocabulary, need not be computed
    needed.only_execute_path_to_fetches = True
    inputs = [str(value.name) for value in graph.graph.inputs]
    for batch in batches:
        if set(inputs) != set(batch):
            raise StageError(
                "quantize",
                f"the graph reads {', '.join(inputs)}, and calibration texts become {', '.join(batch)}",
                hint="give a graph of a DistilBERT, with the head that --head or the checkpoint names",
            )
        yield batch, session.run(names, dict(batch), needed)
    if batch is None:
        raise StageError(
            "quantize",
            "there is no calibration data: not one batch",
            hint="give texts like those the model will read: --calibration texts.jsonl",
        )


@contextmanager
def _also_outputs(graph: Graph, values: Sequence[onnx_ir.Value]) -> Iterator[None]:
    """Make `values` outputs of the graph for a while."""
    outputs = graph.graph.outputs
    added = [value for value in values if not value.is_graph_output()]
    outputs.extend(added)
    try:
        yield
    finally:
        for _ in added:
            outputs.pop()


def _has_tokens(graph: Graph, value: onnx_ir.Value) -> bool:
    """Whether the sizes of `value` name the tokens, as far as names tell.

    A value with a row a head has as many rows as there are tokens where a batch happens to be as long.
    """
    mask = next((each for each in graph.graph.inputs if each.name == "attention_mask"), None)
    if mask is None or mask.shape is None or value.shape is None or isinstance(mask.shape[-1], int):
        return True
    return any(str(mask.shape[-1]) in str(size).split("*") for size in value.shape)


def _rows(array: Floats) -> Floats:
    return array.reshape(-1, array.shape[-1])


def _of_real_tokens(array: Floats, real: npt.NDArray[np.bool_]) -> Floats:
    """(N, channels): all rows, or those of real tokens where the array has one row a token."""
    rows = _rows(array)
    return rows[real] if len(rows) == len(real) and not real.all() else rows
