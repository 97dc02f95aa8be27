"""Release folders that need only the pipeline's export: a checkpoint's files, its graph and a manifest."""

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import onnx_ir
import torch
import transformers
from distilforge.manifest import (
    FileRecord,
    Manifest,
    Provenance,
    Span,
    Tensor,
    Variant,
    Verdict,
    release_version,
)
from distilforge.release import SIGNATURE, STATEMENT

from model_src.checkpoint import load_checkpoint
from tests.conftest import VOCABULARY, save_model, write_tokenizer
from tests.exports import export

COPIED = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
GRAPH = "onnx/model.onnx"
PROVENANCE = Provenance(
    checkpoint_sha256="0" * 64,
    recipe_sha256="1" * 64,
    git_commit="2" * 40,
    tools={"python": "3.11"},
    host="a test",
    created="2026-01-01T00:00:00+00:00",
)
SPANS: Mapping[str, Span] = {
    "batch": Span(low=1, usual=4, high=8),
    "sequence": Span(low=2, usual=16, high=64),
    "choices": Span(low=2, usual=3, high=5),
}
LABELS: Mapping[str, tuple[str, ...]] = {
    "sequence_classification": ("negative", "neutral", "positive"),
    "token_classification": ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "THING"),
}
PASSED = (
    Verdict(
        check="outputs that are not finite",
        observed=0,
        comparison="at most",
        limit=0,
        unit="",
        reason="always",
    ),
)
"""The verdicts of a variant that passed validation."""
TEXTS = (
    "good movie",
    "The doctor was NOT in the hotel room, and the food was unreadably slow!",
    "",
    "   ",
    "a",
    "cat " * 30,
    "x" * 150,
    "naïve café — the Ångström’s rivière",
    "the dog 🐶 read 👩‍👩‍👧 first 🇪🇺 then closed",
    "日本語 the 東京 king",
    "e\u0301clair vs \u00e9clair",
    "what?!... 'quoted' re-opened 3.14",
    "tab\tand\nnewline\r\nand\u00a0nbsp\u200bzero",
    "the [MASK] and the [SEP] of [UNK]",
    "\x00control\x07characters",
    "houses trees cats making unmaking fastest",
)


def write_release(checkpoint: Path, folder: Path, *, spans: Mapping[str, Span] = SPANS) -> Path:
    """Write a validated release of `checkpoint` to the new folder `folder`, and return that."""
    loaded = load_checkpoint(checkpoint)
    model = loaded.model
    used = {axis: spans[axis] for axis in model.axes}
    (folder / GRAPH).parent.mkdir(parents=True)
    onnx_ir.save(export(model, used), folder / GRAPH)
    for name in COPIED:
        shutil.copyfile(checkpoint / name, folder / name)
    sizes = {
        "labels": len(loaded.config.labels),
        "vocabulary": loaded.config.vocab_size,
        "dim": loaded.config.dim,
    }
    manifest = Manifest(
        name=checkpoint.name,
        version="",
        head=model.name,
        labels=loaded.config.labels,
        problem_type=loaded.config.problem_type,
        inputs=tuple(
            Tensor(name=name, dtype="int64", shape=model.axes) for name in ("input_ids", "attention_mask")
        ),
        outputs=tuple(
            Tensor(name=name, dtype="float32", shape=tuple(sizes.get(axis, axis) for axis in axes))
            for name, axes in model.output_axes.items()
        ),
        spans=used,
        variants=(
            Variant(
                target="onnxruntime-cpu", precision="fp32", files=(GRAPH,), validated=True, verdicts=PASSED
            ),
        ),
        files=record_files(folder),
        provenance=PROVENANCE,
    )
    write_manifest(folder, manifest)
    return folder


def record_files(folder: Path) -> dict[str, FileRecord]:
    """A record of every file in `folder` except the manifest, and what is written after it."""
    return {
        path.relative_to(folder).as_posix(): FileRecord(
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(), bytes=path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", STATEMENT, SIGNATURE)
    }


def read_manifest(folder: Path) -> Manifest:
    return Manifest.from_json((folder / "manifest.json").read_text(encoding="utf-8"))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` with the version that its files have."""
    version = release_version(manifest.files, manifest.provenance.recipe_sha256)
    text = replace(manifest, version=version).to_json()
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def record_again(folder: Path) -> None:
    """Update the manifest to the files as they are now."""
    write_manifest(folder, replace(read_manifest(folder), files=record_files(folder)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A random checkpoint and its release."""

    checkpoint: Path
    """The checkpoint's folder, which transformers reads."""
    release: Path
    """The release's folder."""


@cache
def published(head: str, labels: tuple[str, ...] = (), problem_type: str | None = None) -> Pair:
    """A tiny random checkpoint and its release, made once per test process; tests must not change them."""
    root = Path(tempfile.mkdtemp(prefix="distilforge-runtime-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    checkpoint = root / f"random-{head}"
    config = transformers.DistilBertConfig(
        vocab_size=len(dict.fromkeys(VOCABULARY)),
        max_position_embeddings=64,
        n_layers=2,
        n_heads=4,
        dim=32,
        hidden_dim=64,
        initializer_range=0.2,
    )
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
        config.problem_type = problem_type
    with torch.random.fork_rng():
        torch.manual_seed(7)
        save_model(head, config, checkpoint)
    write_tokenizer(checkpoint)
    return Pair(checkpoint=checkpoint, release=write_release(checkpoint, root / "release"))


def copied(head: str, folder: Path) -> Path:
    """A copy of the head's release in the new folder `folder`, for a test to change."""
    labels = LABELS.get(head, ())
    return Path(shutil.copytree(published(head, labels).release, folder))
