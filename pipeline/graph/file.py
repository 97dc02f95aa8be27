"""The type of a graph, and reading, writing and checking graphs."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
from distilforge.checks import folding, functions
from distilforge.manifest import Tensor
from onnx_ir.passes.common import CheckerPass

from pipeline.errors import UsageError
from pipeline.graph import connections, external_data, inline_data, onnx_writer

Graph = onnx_ir.Model

LARGEST_SINGLE_FILE_BYTES = 2**31 - 2**24
"""The most weights that go into one file: a protocol buffer holds 2 GiB at most, and names and nodes need some."""


def save(
    graph: Graph, path: Path, *, largest_single_file_bytes: int = LARGEST_SINGLE_FILE_BYTES
) -> tuple[str, ...]:
    """Write `graph` to `path`, and weights of more than `largest_single_file_bytes` bytes to a second file beside it.

    Returns the names of the files; the first is the one to load. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if _weight_bytes(graph) <= largest_single_file_bytes:
        onnx_writer.write(graph, path)
        return (path.name,)
    external = f"{path.name}_data"
    onnx_ir.save(graph, path, external_data=external)
    return (path.name, external)


def load(path: Path) -> Graph:
    """The graph in the file `path`; external data, if there is any, is read when it is used.

    Raises UsageError where a field of the file has an impossible value, its functions cannot be expanded, a node reads
    what nothing gives, a weight does not fit its shape, a file of external data is absent or incomplete, or a run might
    never end or fill the memory.
    """
    try:
        graph = onnx_ir.load(path)
    except onnx_ir.serde.SerdeError as error:
        # Its own message names functions of the library; the first cause says what is wrong
        first: BaseException = error
        while (earlier := first.__cause__ or first.__context__) is not None:
            first = earlier
        raise UsageError(
            f"{path} is not a valid ONNX file: {first}", hint="copy it again, or export it again"
        ) from error
    check_functions(path)
    connections.check(graph, path)
    inline_data.check(inline_data.within(graph), path)
    external_data.check(graph, path)
    _check_cost(graph, path)
    _name_standard_domain(graph)
    return graph


def _check_cost(graph: Graph, path: Path) -> None:
    """Raise UsageError where a run of `graph`, which was read from `path`, may never end or fill the memory."""
    try:
        folding.check(path, _weight_bytes(graph))
    except ValueError as cause:
        raise UsageError(
            f"{path} is not read, because it may fill the memory or never end: {cause}",
            hint="export it again, with what constants give as a weight",
        ) from cause


def _weight_bytes(graph: Graph) -> int:
    return sum(value.const_value.nbytes for value in graph.graph.initializers.values() if value.const_value)


def _name_standard_domain(graph: Graph) -> None:
    """Give the standard operators' domain the name "", which some files spell "ai.onnx"."""
    version = graph.opset_imports.pop("ai.onnx", None)
    if version is not None:
        graph.opset_imports.setdefault("", version)


def check_functions(path: Path) -> None:
    """Raise UsageError where the functions of the ONNX file `path` cannot be expanded."""
    try:
        functions.check(path)
    except ValueError as cause:
        raise UsageError(
            f"{path} is not usable: {cause}", hint="export it again without functions"
        ) from cause


def check(graph: Graph) -> None:
    """Raise ValueError where `graph` is not valid ONNX, or where a value's type or shape is not known."""
    unknown = [value.name for node in graph.graph for value in node.outputs if not _is_known(value)]
    if unknown:
        raise ValueError(
            f"{len(unknown)} values do not have a complete type and shape, the first is {unknown[0]}"
        )
    try:
        CheckerPass(full_check=True)(graph)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as cause:
        raise ValueError(f"onnx.checker: {cause}") from cause


def domains(graph: Graph) -> frozenset[str]:
    """The domains of the graph's operators; "" is ONNX's own."""
    return frozenset(node.domain for node in graph.graph.all_nodes())


def describe(value: onnx_ir.Value) -> Tensor:
    """An input or output of a graph as the manifest records it."""
    assert value.name is not None
    assert value.dtype is not None
    assert value.shape is not None
    sizes = tuple(size if isinstance(size, int) else str(size.value) for size in value.shape)
    return Tensor(name=value.name, dtype=np.dtype(value.dtype.numpy()).name, shape=sizes)


def _is_known(value: onnx_ir.Value) -> bool:
    if value.dtype is None or value.shape is None:
        return False
    return all(isinstance(size, int) or size.value is not None for size in value.shape)
