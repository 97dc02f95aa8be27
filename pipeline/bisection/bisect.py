"""Bisecting a variant: which modules cost it accuracy, how much, and what to leave in floating point."""

from pathlib import Path

from distilforge.release import resolve, verify

from pipeline.bisection import inputs
from pipeline.bisection.boundaries import followers, parameterized, shared
from pipeline.bisection.branches import keep_else
from pipeline.bisection.hybrid import load
from pipeline.bisection.result import Bisection
from pipeline.bisection.search import Progress, Search
from pipeline.errors import StageError, in_stage
from pipeline.graph.file import load as load_graph
from pipeline.precision.layers.packed import PACKED


def bisect(
    release: Path,
    *,
    variant: str | None = None,
    checkpoint: Path | None = None,
    data: Path | None = None,
    progress: Progress = lambda doing, done, of: None,
) -> Bisection:
    """What costs `variant` of `release` accuracy; without `variant`, of the first one that is not in fp32.

    The reference is the release's fp32 variant, or with `checkpoint` a fresh export of it. `data` is labelled data of
    the head; without it, the texts that validation carries are run. Raises UsageError where there is nothing to
    compare, StageError where the two graphs have no module in common, ReleaseError for a damaged release, DataError for
    damaged data, and what model_src raises for a checkpoint.
    """
    with in_stage("bisect"):
        return _bisect(resolve(release), variant, checkpoint, data, progress)


def _bisect(
    folder: Path, name: str | None, checkpoint: Path | None, data: Path | None, progress: Progress
) -> Bisection:
    manifest = verify(folder)
    chosen = inputs.choose(manifest, name, checkpoint)
    reference = inputs.reference(folder, manifest, checkpoint, chosen)
    variant = load_graph(folder / chosen.files[0])
    for graph in (reference, variant):
        keep_else(graph)
    boundaries = shared(reference, variant)
    if len(boundaries) <= len(manifest.outputs):
        raise StageError(
            "bisect",
            f"{chosen.files[0]!r} and the reference have no module in common by name",
            hint="another tool that wrote the graph has changed its node names; build the variant again",
        )
    evaluation = inputs.evaluation(folder, manifest, data)
    weighted = parameterized(reference)
    after = followers(reference, boundaries)
    progress("joining both graphs", 0, 1)
    packed = any(module.endswith(f".{PACKED}") for module in parameterized(variant))
    search = Search(
        names=tuple(boundary.module for boundary in boundaries),
        weighted=weighted,
        followers=after,
        packed=packed,
        # Merging changes both graphs, so it comes last.
        hybrid=load(reference, variant, boundaries, chosen),
        evaluation=evaluation,
        progress=progress,
    )
    return search.run(f"{manifest.name} {manifest.version}", chosen.name)
