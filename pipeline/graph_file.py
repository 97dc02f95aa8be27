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
    done = transform(graph, plan, _calibration(checkpoint, head, data))
    return Written(passes=done.passes, verdicts=done.verdicts, notes=done.notes, files=_save(graph, output))


def _calibration(checkpoint: str, head: str | None, data: Path | None) -> "Calibration":
    """Batches of `data`; nothing is read before a scheme asks, since not every scheme looks at values."""

    def encoded() -> "Calibration":
        from model_src import checkpoint as checkpoints
        from model_src import folder, heads
        from model_src.config import DistilBertConfig
        from pipeline import calibration, spans

        found = folder.find(checkpoint)
        values = found.read_config()
        config = DistilBertConfig.from_hugging_face(values)
        chosen = heads.find(head) if head else heads.find_architecture(checkpoints.architecture(values))
        name = chosen.__module__.rpartition(".")[2]
        return calibration.feeds(
            found.path, name, spans.complete({}, chosen.axes, config.max_position_embeddings), data
        )

    return when_asked(encoded)


def _load(path: Path, output: Path) -> "Graph":
    from pipeline import graph

    if not path.is_file():
        raise UsageError(f"there is no ONNX file {path}", hint="`distilforge export` writes one")
    if output.resolve() == path.resolve():
        raise UsageError(f"{output} is the file to read", hint="choose another --output")
    try:
        return graph.load(path)
    except Exception as cause:
        raise failed("load", cause) from cause


def _save(made: "Graph", output: Path) -> tuple[str, ...]:
    from pipeline import graph

    return tuple(str(output.parent / name) for name in graph.save(made, output))
