"""One stage on one ONNX file: fusions, or a quantization scheme, without the rest of a build."""

import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord, Verdict

from pipeline.errors import UsageError, in_stage
from pipeline.passes import base, fusions
from pipeline.precision import when_asked
from pipeline.recipe.plan import Plan
from pipeline.recipe.recipe import check_head
from pipeline.stages.transform import transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.graph.file import Graph
    from pipeline.precision import Calibration

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
    with in_stage("fuse"):
        done = base.apply(graph, chosen)
    return Written(passes=done, files=_save(graph, output))


def quantize(
    path: Path, plan: Plan, *, checkpoint: str, head: str | None, data: Path | None, output: Path
) -> Written:
    """Apply the fusions, the scheme and the lowerings of `plan` to the graph in `path`, and write it to `output`.

    Calibrated on `data`, or the demo's texts, as the tokenizer of `checkpoint` reads them. Raises what `fuse` and
    pipeline.stages.transform raise, and model_src's errors for the checkpoint.
    """
    if head is not None:
        check_head(head)
    graph = _load(path, output)
    _refuse_written(graph, path)
    with in_stage("quantize"):
        done = transform(graph, plan, _calibration(checkpoint, head, data))
    return Written(passes=done.passes, verdicts=done.verdicts, notes=done.notes, files=_save(graph, output))


def _calibration(checkpoint: str, head: str | None, data: Path | None) -> "Calibration":
    """Batches of `data`; nothing is read before a scheme asks, since not every scheme looks at values."""

    def encoded() -> "Calibration":
        from model_src import checkpoint as checkpoints
        from model_src import folder, heads
        from pipeline.recipe import spans
        from pipeline.stages import calibration

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

    from pipeline.graph import file as graph_file

    if not path.is_file():
        raise UsageError(f"there is no ONNX file {path}", hint="`distilforge export` writes one")
    if output.resolve() == path.resolve():
        raise UsageError(f"{output} is the file to read", hint="choose another --output")
    _check_writable(output)
    try:
        loaded = graph_file.load(path)
    except Exception as cause:
        raise UsageError(
            f"{path} is no ONNX graph that can be read: {cause}", hint="copy it again, or export it again"
        ) from cause
    if not loaded.graph.outputs:
        raise UsageError(f"{path} holds no graph with an output", hint="copy it again, or export it again")
    for value in loaded.graph.initializers.values():
        held = value.const_value
        if isinstance(held, onnx_ir.ExternalTensor) and not Path(held.path).is_file():
            raise UsageError(
                f"{path} keeps weights in {held.location}, which is not beside it",
                hint="copy the graph with all of its files",
            )
    return loaded


def _check_writable(output: Path) -> None:
    """UsageError where no file can be written, before any work; the folder is made where there is none."""
    why = ""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and not output.is_file():
            why = "it is no ordinary file"
        elif not os.access(output.parent, os.W_OK):
            why = f"nothing may be written into {output.parent}"
    except OSError as cause:
        why = str(cause)
    if why:
        raise UsageError(f"{output} cannot be written: {why}", hint="choose another --output")


def _save(made: "Graph", output: Path) -> tuple[str, ...]:
    """Write the graph aside and move it to its place when it is whole; the files, the one to load first."""
    from pipeline.graph import file as graph_file

    with in_stage("write"), tempfile.TemporaryDirectory(prefix=".aside-", dir=output.parent) as aside:
        names = graph_file.save(made, Path(aside) / output.name)
        for name in reversed(names):
            (Path(aside) / name).replace(output.parent / name)
    return tuple(str(output.parent / name) for name in names)
