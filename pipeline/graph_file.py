"""One stage on one ONNX file: fusions, or a quantization scheme, without the rest of a build."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord, Verdict

from pipeline import passes
from pipeline.errors import UsageError, failed
from pipeline.fuse import fusions
from pipeline.plan import Plan
from pipeline.quantize import when_asked
from pipeline.transform import transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.graph import Graph
    from pipeline.quantize import Calibration

_QUANTIZED = frozenset(
    "QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger MatMulIntegerToFloat "
    "DynamicQuantizeMatMul QLinearMatMul QGemm".split()
)
_START_FROM_FP32 = "give the fp32 graph: `distilforge export` writes one, and a release has onnx/model.onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files written, the one to load first; what was done to the graph, proved of it, and worth knowing."""

    files: tuple[str, ...]
    passes: tuple[PassRecord, ...]
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The same as JSON."""
        return asdict(self)


def fuse(path: Path, names: "Sequence[str]", output: Path) -> Written:
    """Apply the passes `names`, in the order that they ask for, to the graph in `path`, and write it to `output`.

    Raises UsageError for a file or a pass that is not there, ContractError where a pass matched less than it must.
    """
    chosen = [fusions.find(name) for name in dict.fromkeys(names)]
    graph = _load(path, output)
    return Written(passes=passes.apply(graph, chosen), files=_save(graph, output))


def quantize(
    path: Path, plan: Plan, *, checkpoint: str, head: str | None, data: Path | None, output: Path
) -> Written:
    """Apply the fusions, the scheme and the lowerings of `plan` to the graph in `path`, and write it to `output`.

    Calibrated on `data`, or the demo's texts, as the tokenizer of `checkpoint` reads them. Raises what `fuse` and
    pipeline.transform raise, and model_src's errors for the checkpoint.
    """
    graph = _load(path, output)
    _refuse_written(graph, path)
    done = transform(graph, plan, _calibration(checkpoint, head, data))
    return Written(passes=done.passes, verdicts=done.verdicts, notes=done.notes, files=_save(graph, output))


def _calibration(checkpoint: str, head: str | None, data: Path | None) -> "Calibration":
    """Batches of `data`; nothing is read before a scheme asks, since not every scheme looks at values."""

    def encoded() -> "Calibration":
        from model_src import checkpoint as checkpoints
        from model_src import folder, heads
        from pipeline import calibration, spans

        found = folder.find(checkpoint)
        config = found.configuration()
        chosen = (
            heads.find(head)
            if head
            else heads.find_architecture(checkpoints.architecture(found.read_config()))
        )
        name = chosen.__module__.rpartition(".")[2]
        return calibration.feeds(
            found.path, name, spans.complete({}, chosen.axes, config.max_position_embeddings), data
        )

    return when_asked(encoded)


def _refuse_written(graph: "Graph", path: Path) -> None:
    """UsageError where a precision is in the graph already: schemes start from fp32."""
    import onnx_ir

    for node in graph.graph.all_nodes():
        if node.op_type in _QUANTIZED:
            raise UsageError(
                f"{path} is quantized already: {node.name} is a {node.op_type}", hint=_START_FROM_FP32
            )
        for value in node.outputs:
            if value.dtype in (onnx_ir.DataType.FLOAT16, onnx_ir.DataType.BFLOAT16):
                raise UsageError(
                    f"{path} is in {value.dtype.name.lower()} already: {value.name} is", hint=_START_FROM_FP32
                )


def _load(path: Path, output: Path) -> "Graph":
    import onnx_ir

    from pipeline import graph

    if not path.is_file():
        raise UsageError(f"there is no ONNX file {path}", hint="`distilforge export` writes one")
    if output.resolve() == path.resolve():
        raise UsageError(f"{output} is the file to read", hint="choose another --output")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise UsageError(f"{output} cannot be written: {cause}", hint="choose another --output") from cause
    try:
        loaded = graph.load(path)
    except Exception as cause:
        raise failed("load", cause) from cause
    for value in loaded.graph.initializers.values():
        held = value.const_value
        if isinstance(held, onnx_ir.ExternalTensor) and not Path(held.path).is_file():
            raise UsageError(
                f"{path} keeps weights in {held.location}, which is not beside it",
                hint="copy the graph with all of its files",
            )
    return loaded


def _save(made: "Graph", output: Path) -> tuple[str, ...]:
    from pipeline import graph

    return tuple(str(output.parent / name) for name in graph.save(made, output))
