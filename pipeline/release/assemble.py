"""Assembles a candidate, which is a release folder that is not validated yet, and reads and writes manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from distilforge.manifest import Manifest, Provenance, Variant, Withheld, release_version
from distilforge.manifest.configuration import ModelConfiguration
from distilforge.release import MANIFEST

from model_src.config import SYNONYMS, DistilBertConfig
from model_src.folder import CheckpointFolder
from model_src.json_file import write_json
from model_src.sentence import writing
from pipeline.graph.interface import Interface
from pipeline.release import tokenizer
from pipeline.store import digests, storage, versions

CONFIG = "config.json"


def assemble(
    *,
    name: str,
    checkpoint: CheckpointFolder,
    checkpoint_sha256: str,
    recipe_sha256: str,
    interface: Interface,
    compiled: Sequence[tuple[Variant, Path]],
    folder: Path,
) -> Manifest:
    """Fill `folder` with a candidate and return its manifest, which is written too.

    `compiled` has each variant with the folder that its files are in. The files of sentence-transformers' modules are
    copied, so that its clients can open the release too. Raises CheckpointError for an unusable tokenizer.
    """
    config = checkpoint.configuration()
    for variant, compiled_folder in compiled:
        for file in variant.files:
            storage.link_or_copy(compiled_folder / file, folder / file)
    tokenizer.write(checkpoint, folder, vocab_size=config.vocab_size, longest=checkpoint.longest())
    if checkpoint.sentence is not None:
        writing.write(checkpoint.sentence, folder)
    _write_config(checkpoint, config, interface.architecture, folder / CONFIG)
    files = digests.record(folder)
    manifest = Manifest(
        name=name,
        version=release_version(files, recipe_sha256),
        head=interface.head,
        labels=interface.labels,
        problem_type=interface.problem_type,
        inputs=interface.inputs,
        outputs=interface.outputs,
        spans=interface.spans,
        variants=tuple(variant for variant, _ in compiled),
        files=files,
        provenance=provenance(checkpoint_sha256, recipe_sha256),
    )
    write_manifest(manifest, folder)
    return manifest


def withhold(manifest: Manifest, reasons: Mapping[str, str]) -> Manifest:
    """`manifest` with the variants in `reasons` withheld, for the reason given by their name.

    Their files leave the manifest, which changes the version.
    """
    if not reasons:
        return manifest
    kept = tuple(variant for variant in manifest.variants if variant.name not in reasons)
    needed = {file for variant in kept for file in variant.files}
    dropped = {file for variant in manifest.variants for file in variant.files} - needed
    files = {name: entry for name, entry in manifest.files.items() if name not in dropped}
    return replace(
        manifest,
        version=release_version(files, manifest.provenance.recipe_sha256),
        variants=kept,
        files=files,
        withheld=tuple(
            Withheld(name=variant.name, reason=reasons[variant.name])
            for variant in manifest.variants
            if variant.name in reasons
        ),
    )


def provenance(
    checkpoint_sha256: str,
    recipe_sha256: str,
    data_sha256: Mapping[str, str] = MappingProxyType({}),
    packages: Sequence[str] = (),
) -> Provenance:
    """The provenance of a release that is made now on this machine.

    `data_sha256` has the digests of the data by their purpose, and `packages` are those that its targets need.
    """
    return Provenance(
        checkpoint_sha256=checkpoint_sha256,
        recipe_sha256=recipe_sha256,
        git_commit=versions.git_commit(),
        tools=versions.tools(*packages),
        host=versions.host(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data_sha256=dict(data_sha256),
    )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the release or candidate in `folder`."""
    path = folder / MANIFEST
    return Manifest.from_json(path.read_text(encoding="utf-8"), str(path))


def architecture(folder: Path) -> str:
    """The head's class in transformers, as config.json of the release in `folder` names it."""
    text = (folder / CONFIG).read_text(encoding="utf-8")
    (name,) = ModelConfiguration.from_json(text, CONFIG).architectures
    return name


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest` into `folder`; call this after all the files that it lists are written."""
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def seal(manifest: Manifest, folder: Path) -> Manifest:
    """Write `manifest` with the digest of every file that is now in `folder`, and return it."""
    files = {name: entry for name, entry in digests.record(folder).items() if name != MANIFEST}
    sealed = replace(manifest, files=files)
    write_manifest(sealed, folder)
    return sealed


def _write_config(
    checkpoint: CheckpointFolder, config: DistilBertConfig, architecture: str, path: Path
) -> None:
    """Write the checkpoint's config.json with the head that was exported and with every default.

    The sizes are there under both of their names: text-embeddings-inference reads hidden_size and num_hidden_layers,
    and refuses a file that has only dim and n_layers.
    """
    values = {
        **checkpoint.read_config(),
        **config.to_hugging_face(architecture),
        **{synonym: getattr(config, name) for synonym, name in SYNONYMS.items()},
    }
    write_json(path, values, indent=2)
