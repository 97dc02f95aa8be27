"""One stage on one ONNX file, without the rest of a build: passes, or a plan with its quantization scheme."""

import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord, Verdict

from pipeline.errors import ContractError, UsageError, in_stage
from pipeline.passes import base, registry
from pipeline.precision import lazy_calibration, schemes
from pipeline.recipe import paths
from pipeline.recipe.plan import Plan
from pipeline.recipe.recipe import check_head
from pipeline.registry import unknown
from pipeline.stages import origin
from pipeline.stages.transform import transform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnx_ir import Node

    from pipeline.graph.file import Graph
    from pipeline.precision import Batches

_QUANTIZED = frozenset(
    "QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger MatMulIntegerToFloat "
    "DynamicQuantizeMatMul QLinearMatMul QGemm".split()
)
_START_FROM_FP32 = "give the fp32 graph: `distilforge export` writes one, and a release has onnx/model.onnx"
_BUILD_BY_ENGINE = (
    "build the variant: `distilforge build CHECKPOINT --variant openvino:bf16`; "
    "`distilforge list schemes` shows which schemes are written"
)
_START_FROM_EXPORT = "give the graph that `distilforge export` writes, and all passes in one command"


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleStageResult:
    """The result of a stage on one file."""

    files: tuple[str, ...]
    """The files that were written; the first is the one to load."""

    passes: tuple[PassRecord, ...]
    """The passes that were applied, in their order."""

    verdicts: tuple[Verdict, ...] = ()
    """The checks that the scheme made on the calibration data."""

    notes: tuple[str, ...] = ()
    """What a reader must know before deploying the graph."""

    def to_json(self) -> dict[str, object]:
        """The result as JSON."""
        return asdict(self)


def fuse(path: Path, names: "Sequence[str]", output: Path) -> SingleStageResult:
    """Apply the passes `names`, in the order that they require, to the graph in `path`, and write it to `output`.

    Raises UsageError for a file or a pass that does not exist, and ContractError where a pass made fewer rewrites than
    it must.
    """
    chosen = [registry.find(name) for name in dict.fromkeys(names)]
    graph = _load(path, output)
    with in_stage("fuse"), _hints_about_the_file(graph):
        records = base.apply(graph, chosen)
    return SingleStageResult(passes=records, files=_save(graph, output))


def quantize(
    path: Path, plan: Plan, *, checkpoint: str, head: str | None, data: Path | None, output: Path
) -> SingleStageResult:
    """Apply the passes and the scheme of `plan` to the graph in `path`, and write it to `output`.

    The scheme is calibrated on `data`, or on the demo's texts, encoded by the tokenizer of `checkpoint`, which needs no
    weights; the notes say what could not be checked without them. Raises the errors of `fuse` and of
    pipeline.stages.transform, those of model_src for the checkpoint, and UsageError where the graph is known to come
    from another one, or to have another head.
    """
    if head is not None:
        check_head(head)
    _check_scheme(plan.scheme)
    graph = _load(path, output)
    _check_fp32(graph, path)
    known = origin.check_graph(checkpoint, path, head)
    calibration = _calibration(checkpoint, known.head, data)
    with in_stage("quantize"), _hints_about_the_file(graph):
        passes = transform(graph, Plan(passes=plan.passes), calibration)
        _check_exclude(graph, plan)
        transformed = passes.then(transform(graph, replace(plan, passes=()), calibration))
    return SingleStageResult(
        passes=transformed.passes,
        verdicts=transformed.verdicts,
        notes=(*known.remarks, *transformed.notes),
        files=_save(graph, output),
    )


def _calibration(checkpoint: str, head: str | None, data: Path | None) -> "Batches":
    """Batches of `data`, which is read when a scheme asks for it: not every scheme does."""

    def encoded() -> "Batches":
        from model_src import checkpoint as checkpoints
        from model_src import folder
        from pipeline.recipe import spans
        from pipeline.stages import calibration

        source = folder.find(checkpoint, head=head, needs_weights=False)
        model = checkpoints.find_head(source, head)
        name = model.__module__.rpartition(".")[2]
        axes = spans.complete({}, model.axes, source.longest())
        return calibration.feeds(source.root, name, axes, data)

    return lazy_calibration(encoded)


@contextmanager
def _hints_about_the_file(graph: "Graph") -> "Iterator[None]":
    """Let a ContractError hint at what is wrong with the file: passes are written for what our exporter writes."""
    fused = sorted({node.op_type for node in graph.graph.all_nodes() if _is_fused(node)})
    try:
        yield
    except ContractError as error:
        if fused:
            reason = f"the graph was fused before: it has {', '.join(fused)}"
        elif error.rewrites or error.refusals:
            reason = "another tool wrote the graph, or a pass changed it before"
        else:
            reason = (
                f"{error.name}, or a pass that rewrites the same operators, was applied to the graph before, "
                "or another tool wrote the graph"
            )
        raise error.hinting(f"{reason}; {_START_FROM_EXPORT}") from error


def _is_fused(node: "Node") -> bool:
    """Whether `node` is one that a pass wrote: of another domain than ONNX's, or ONNX's own Attention."""
    return node.domain not in ("", "ai.onnx") or node.op_type == "Attention"


def _check_scheme(name: str) -> None:
    """Raise UsageError for a scheme that does not exist, or that leaves the precision to the engine."""
    known = {entry.name: entry for entry in map(schemes.find, schemes.names())}
    if name not in known:
        raise unknown("scheme", name, [entry.name for entry in known.values() if not entry.by_engine])
    if known[name].by_engine:
        raise UsageError(
            f"the scheme {name} writes nothing into a graph: the engine rounds while it runs, because the settings of "
            "a release's variant ask for it",
            hint=_BUILD_BY_ENGINE,
        )


def _check_exclude(graph: "Graph", plan: Plan) -> None:
    """Raise UsageError where `plan` excludes what is no module of `graph`, or everything that its scheme changes."""
    if not plan.exclude:
        return
    from pipeline.precision.attention import products
    from pipeline.precision.layers import choose

    attentions = products.find(graph, base.layers(graph)) if plan.quantize_attention else ()
    modules = [*choose.modules(graph), *(attention.module for attention in attentions)]
    choose.check_exclude(plan.exclude, modules)


def _check_fp32(graph: "Graph", path: Path) -> None:
    """Raise UsageError where the graph has another precision already: schemes start from fp32."""
    import onnx_ir

    for node in graph.graph.all_nodes():
        if node.op_type in _QUANTIZED:
            raise UsageError(
                f"{path} is already quantized: {node.name} is a {node.op_type}", hint=_START_FROM_FP32
            )
        for value in node.outputs:
            if value.dtype in (onnx_ir.DataType.FLOAT16, onnx_ir.DataType.BFLOAT16):
                raise UsageError(
                    f"{path} is already in {value.dtype.name.lower()}: its value {value.name} is",
                    hint=_START_FROM_FP32,
                )


def _load(path: Path, output: Path) -> "Graph":
    import onnx

    from pipeline.graph import file as graph_file

    if not paths.is_file(path):
        raise UsageError(f"there is no ONNX file {path}", hint="`distilforge export` writes one")
    if output.resolve() == path.resolve():
        raise UsageError(f"{output} is the file that is read", hint="choose another --output")
    paths.check_writable(output)
    try:
        loaded = graph_file.load(path)
    except UsageError:
        raise
    except Exception as cause:
        raise UsageError(
            f"{path} cannot be read as an ONNX file: {cause}", hint="copy it again, or export it again"
        ) from cause
    if not loaded.graph.outputs:
        raise UsageError(
            f"{path} does not hold a graph with an output", hint="copy it again, or export it again"
        )
    try:
        onnx.checker.check_model(str(path))
    except (onnx.checker.ValidationError, ValueError) as cause:
        raise UsageError(
            f"{path} is not a valid ONNX file: {str(cause).splitlines()[0]:.300}", hint="export it again"
        ) from cause
    _keep_weights_constant(loaded)
    _complete_types(loaded)
    return loaded


def _keep_weights_constant(graph: "Graph") -> None:
    """Take weights out of the inputs of `graph`, where some exporters list them too: what is written depends on them.

    Before version 4 of ONNX's IR, a weight had to be an input.
    """
    from onnx_ir.passes import common

    common.RemoveInitializersFromInputsPass()(graph)
    graph.ir_version = max(graph.ir_version, 4)


def _complete_types(graph: "Graph") -> None:
    """Infer the types and shapes of values where the file leaves some out: other tools need not write them."""
    from onnx_ir.passes import common

    outputs = (value for node in graph.graph.all_nodes() for value in node.outputs if value.name)
    if any(value.dtype is None or value.shape is None for value in outputs):
        common.ShapeInferencePass()(graph)


def _save(graph: "Graph", output: Path) -> tuple[str, ...]:
    """Write the graph to a temporary folder, move it to `output` when it is complete, and return its files."""
    from pipeline.graph import file as graph_file

    with in_stage("write"), tempfile.TemporaryDirectory(prefix=".aside-", dir=output.parent) as aside:
        names = graph_file.save(graph, Path(aside) / output.name)
        for name in reversed(names):
            (Path(aside) / name).replace(output.parent / name)
    return tuple(str(output.parent / name) for name in names)
