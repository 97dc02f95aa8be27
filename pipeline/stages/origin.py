"""Whether a checkpoint is the one that a release or a graph was built from, where either says so."""

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


def check_graph(checkpoint: str, graph: Path, head: str | None) -> str | None:
    """The head of the file `graph` where that is known, or else `head`, the one that was asked for.

    It is known of the files of a release, and of what `distilforge export` wrote. Raises UsageError where they come
    from another checkpoint than `checkpoint`, or have another head than `head`; and what model_src raises for a
    checkpoint that cannot be read.
    """
    manifest = _release_of(graph)
    if manifest is not None:
        _check_head(graph, manifest.head, head)
        check_release(checkpoint, _source(checkpoint, manifest.head), manifest)
        return manifest.head
    expected = work.inputs_of(graph).get("model")
    interface = graph.resolve().with_name(INTERFACE)
    if not isinstance(expected, dict) or not paths.is_file(interface):
        return head
    own = Interface.read(interface).head
    _check_head(graph, own, head)
    found = _source(checkpoint, own).model
    different = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if different:
        raise UsageError(
            f"{checkpoint} is not the checkpoint that {graph} was exported from: {', '.join(different)} differ",
            hint="give that checkpoint as it was, or export this one: distilforge export CHECKPOINT",
        )
    return own


def _check_head(graph: Path, own: str, asked: str | None) -> None:
    if asked not in (None, own):
        raise UsageError(
            f"{graph} has the head {own}, and {asked} was asked for",
            hint=f"give texts as {own} reads them, and --head {own} or none",
        )


def _source(checkpoint: str, head: str | None) -> load.Source:
    return load.source(checkpoint_folder.find(checkpoint, head=head))


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
