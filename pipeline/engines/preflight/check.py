"""Checks any ONNX file before an engine is built from it: which nodes prevent that, and what to do about them."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from pipeline.engines.compiler import EngineCompiler
from pipeline.engines.preflight import rules
from pipeline.engines.preflight.inspection import (
    Inspection,
    Kind,
    Problem,
    graphs,
    inspect_model,
    tensors,
    type_name,
)
from pipeline.engines.preflight.parser_reply import ParserReply, ask
from pipeline.errors import StageError, UsageError
from pipeline.graph import external_data, file, inline_data
from pipeline.graph.external_data import StoredWeight

_ORDER: tuple[Kind, ...] = ("refused", "wrong", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file contains."""

    ir_version: int
    """The version of ONNX's file format."""
    opsets: Mapping[str, int]
    """The version of each operator domain; "" is ONNX's own."""
    operators: Mapping[str, Mapping[str, int]]
    """The number of nodes with each operator, by domain."""
    types: Mapping[str, int]
    """The number of values and weights of each element type."""
    inputs: Mapping[str, tuple[int | str, ...] | None]
    """The axes of each input, with a number, a name or "?"; None for an input without a shape."""
    external: tuple[str, ...]
    """The files of external data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """The result of a check; true where nothing prevents an engine."""

    model: str
    """The file that was checked."""
    compiler: str
    """The name of the compiler that it was checked for."""
    facts: Facts
    """What the file contains."""
    parser: str
    """The compiler with its version, if its parser was asked; otherwise why it was not."""
    asked: bool
    """Whether the compiler's parser was asked."""
    problems: tuple[Problem, ...]
    """All problems, those that prevent an engine first."""

    @property
    def obstacles(self) -> tuple[Problem, ...]:
        """The problems that prevent an engine."""
        return tuple(problem for problem in self.problems if problem.kind != "note")

    def __bool__(self) -> bool:
        return not self.obstacles

    def to_json(self) -> dict[str, object]:
        """The result as JSON."""
        return {**asdict(self), "passes": bool(self)}


def check(path: Path, compiler: EngineCompiler) -> Preflight:
    """Check the model in `path` for `compiler`; UsageError where the file is not an ONNX model."""
    model = _read(path)
    external, problems = _external_data(model, path.parent)
    inspection = inspect_model(model, compiler)
    problems += rules.problems(inspection)
    if any(problem.operator == _EXTERNAL for problem in problems):
        reply = ParserReply(parser="not asked: external data is missing", asked=False, problems=problems)
    else:
        reply = ask(path, compiler, problems)
    return Preflight(
        model=str(path),
        compiler=compiler.name,
        facts=_facts(inspection, external),
        parser=reply.parser,
        asked=reply.asked,
        problems=tuple(sorted(reply.problems, key=lambda problem: _ORDER.index(problem.kind))),
    )


def judge(preflight: Preflight) -> None:
    """Raise StageError where something prevents an engine."""
    if not preflight:
        count = len(preflight.obstacles)
        raise StageError(
            "check",
            f"{count} {'problem prevents' if count == 1 else 'problems prevent'} an engine of {preflight.compiler} "
            f"from {preflight.model}",
            hint="the table says what to do about each; --json lists every node",
        )


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as cause:
        raise UsageError(
            f"there is no file {path}", hint="`distilforge export` writes an ONNX file"
        ) from cause
    except IsADirectoryError as cause:
        raise UsageError(f"{path} is a folder", hint="name the .onnx file in it") from cause
    except (DecodeError, ValueError) as cause:
        raise UsageError(
            f"{path} is not an ONNX file, or it is damaged: {cause}", hint="copy or export it again"
        ) from cause
    if not model.ir_version or not model.graph.output:
        # Protocol buffers read an empty file, and some text files, as a message without fields
        raise UsageError(
            f"{path} is not an ONNX file, or it is damaged: it does not contain a graph with an output",
            hint="copy or export it again",
        )
    file.check_functions(path)
    inline_data.check(tensors(model), path)
    return model


_EXTERNAL = "external data"


def _external_data(model: onnx.ModelProto, folder: Path) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """The files that contain weights, and the problems with them."""
    weights = [
        _stored(tensor)
        for graph in graphs(model)
        for tensor in graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    problems = tuple(
        Problem(
            kind="refused",
            problem=problem.text,
            module=problem.weight.rpartition(".")[0],
            node=problem.weight,
            operator=_EXTERNAL,
            advice=problem.advice,
        )
        for problem in external_data.problems(weights, folder)
    )
    return tuple(dict.fromkeys(weight.location for weight in weights)), problems


def _stored(tensor: onnx.TensorProto) -> StoredWeight:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    given = _number(entries.get("length"))
    try:
        element_bytes = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError):
        # A type of a later version of ONNX
        needed = given or 0
    else:
        needed = math.prod(tensor.dims) * element_bytes
    return StoredWeight(
        name=tensor.name,
        location=entries.get("location", ""),
        start=_number(entries.get("offset")) or 0,
        # Some types have two elements in a byte
        needed=min(needed, given) if given else needed,
        given=None,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _facts(inspection: Inspection, external: tuple[str, ...]) -> Facts:
    operators: dict[str, Counter[str]] = {}
    for _, node in inspection.nodes:
        operators.setdefault(node.domain.removeprefix("ai.onnx"), Counter())[node.op_type] += 1
    initializers = {tensor.name for tensor in inspection.model.graph.initializer}
    inputs: dict[str, tuple[int | str, ...] | None] = {}
    for value in inspection.model.graph.input:
        if value.name not in initializers:
            tensor = value.type.tensor_type
            inputs[value.name] = _shape(tensor.shape) if tensor.HasField("shape") else None
    return Facts(
        ir_version=inspection.model.ir_version,
        opsets={opset.domain: opset.version for opset in inspection.model.opset_import},
        operators={domain: dict(counts.most_common()) for domain, counts in sorted(operators.items())},
        types=dict(Counter(type_name(element) for element in inspection.types.values()).most_common()),
        inputs=inputs,
        external=external,
    )


def _shape(shape: onnx.TensorShapeProto) -> tuple[int | str, ...]:
    return tuple(
        size.dim_value if size.HasField("dim_value") else size.dim_param or "?" for size in shape.dim
    )
