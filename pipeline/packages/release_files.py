"""Copies of a release's files, and a release that holds one variant."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from distilforge.contents import CONFIG, TOKENIZER_FILES
from distilforge.manifest import Manifest, release_version
from distilforge.release import MANIFEST

from pipeline.packages.base import PackageRequest


def copy(request: PackageRequest, names: Iterable[str], folder: Path) -> None:
    """Copy files of the release to the same paths in `folder`."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(request.release / name, folder / name)


def copy_graph(request: PackageRequest, folder: Path, file: str) -> None:
    """Copy what the variant loads into the new `folder`: its first file as `file`, and others, such as weights, beside.

    The graph that an engine was judged by is left out.
    """
    folder.mkdir(parents=True)
    first, *others = request.variant.files
    shutil.copyfile(request.release / first, folder / file)
    for other in others:
        if other != request.variant.oracle:
            shutil.copyfile(request.release / other, folder / Path(other).name)


def copy_tokenizer(request: PackageRequest, folder: Path) -> None:
    """Copy config.json and the tokenizer's files into `folder`."""
    names = (CONFIG, *TOKENIZER_FILES)
    copy(request, [name for name in names if name in request.manifest.files], folder)


def of_variant(request: PackageRequest) -> tuple[str, ...]:
    """The names of the files that the variant needs: its own, and those that every variant shares."""
    others = {name for variant in request.manifest.variants for name in variant.files}
    others -= set(request.variant.files)
    return tuple(name for name in request.manifest.files if name not in others)


def write_release(request: PackageRequest, folder: Path) -> Manifest:
    """Write a release that holds the variant alone into the new `folder`, and return its manifest.

    `distilforge.open` opens it. Its version differs from that of the whole release, since a version is the digest of
    the files. The files are unchanged, so their digests are those in the whole release's manifest.
    """
    names = of_variant(request)
    copy(request, names, folder)
    files = {name: request.manifest.files[name] for name in names}
    manifest = replace(
        request.manifest,
        version=release_version(files, request.manifest.provenance.recipe_sha256),
        variants=(request.variant,),
        files=files,
    )
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest
