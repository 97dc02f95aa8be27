"""Whether a checkpoint is the one that a release or a graph was built from, where either says so."""

from dataclasses import dataclass
from pathlib import Path

from distilforge import release as releases
from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest

from model_src import folder as checkpoint_folder
from pipeline.errors import UsageError
from pipeline.graph.interface import Interface
from pipeline.recipe import paths
from pipeline.stages import load
from pipeline.stages.export import INTERFACE
from pipeline.store import digests, work

_MANIFEST = "manifest.json"


def check_release(checkpoint: str | Path, source: load.Source, manifest: Manifest) -> None:
    """Raise UsageError unless the release of `manifest` was built from `checkpoint`, whose files `source` has."""
    expected = manifest.provenance.checkpoint_sha256
    if source.digest != expected:
        raise UsageError(
            f"{checkpoint} is not the checkpoint of {manifest.name} {manifest.version}: its digest should be "
            f"{expected}, found {source.digest}",
            hint="give the checkpoint as it was when the release was built: --checkpoint",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOrigin:
    """What a graph came from."""

    head: str | None
    """Its head where that is known, or else the one that was asked for."""
    remarks: tuple[str, ...] = ()
    """What could not be checked, a sentence each."""


def check_graph(checkpoint: str, graph: Path, head: str | None) -> GraphOrigin:
    """Check where the file `graph` came from, which the files of a release say, and what `distilforge export` wrote.

    Raises UsageError where it is another checkpoint than `checkpoint`, or where the graph has another head than `head`;
    and what model_src raises for a checkpoint that cannot be read. A folder may have no weights: then the digest that a
    release has cannot be compared, and of an export only config.json can.
    """
    manifest = _release_of(graph)
    if manifest is not None:
        _check_head(graph, manifest.head, head)
        source = _source(checkpoint, manifest.head)
        if not source.checkpoint.weights:
            remark = (
                f"{checkpoint} has no weights, so that it was not compared with the checkpoint of {graph}"
            )
            return GraphOrigin(head=manifest.head, remarks=(remark,))
        check_release(checkpoint, source, manifest)
        return GraphOrigin(head=manifest.head)
    expected = work.inputs_of(graph).get("model")
    interface = graph.resolve().with_name(INTERFACE)
    if not isinstance(expected, dict) or not paths.is_file(interface):
        return GraphOrigin(head=head)
    own = Interface.read(interface).head
    _check_head(graph, own, head)
    source = _source(checkpoint, own)
    found, has_weights = source.model, bool(source.checkpoint.weights)
    compared = expected.keys() | found.keys() if has_weights else found.keys()
    different = sorted(name for name in compared if expected.get(name) != found.get(name))
    if different:
        raise UsageError(
            f"{checkpoint} is not the checkpoint that {graph} was exported from: {', '.join(different)} differ",
            hint="give that checkpoint as it was, or export this one: distilforge export CHECKPOINT",
        )
    names = " and ".join(sorted(compared))
    remark = f"{checkpoint} has no weights, so that only {names} was compared with the checkpoint of {graph}"
    return GraphOrigin(head=own, remarks=() if has_weights else (remark,))


def _check_head(graph: Path, own: str, asked: str | None) -> None:
    if asked not in (None, own):
        raise UsageError(
            f"{graph} has the head {own}, and {asked} was asked for",
            hint=f"give texts as {own} reads them, and --head {own} or none",
        )


def _source(checkpoint: str, head: str | None) -> load.Source:
    return load.source(checkpoint_folder.find(checkpoint, head=head, needs_weights=False))


def _release_of(graph: Path) -> Manifest | None:
    """The manifest of the release that lists the file `graph` as it is; None for another file."""
    path = graph.resolve()
    for folder in path.parents:
        if (folder / _MANIFEST).is_file():
            try:
                manifest = releases.read_manifest(folder)
            except ReleaseError:
                return None
            record = manifest.files.get(path.relative_to(folder).as_posix())
            return manifest if record and record.sha256 == digests.of_file(path) else None
    return None
