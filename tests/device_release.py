"""Releases with variants for devices, and tiny engines that are really compiled."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from distilforge.manifest import CompiledEngine, Span, Variant

from model_src.checkpoint import load_checkpoint
from pipeline import targets
from pipeline.engines import context_model
from pipeline.engines.build import build
from pipeline.engines.options import EngineOptions
from pipeline.errors import MissingError
from pipeline.graph.file import Graph, save
from pipeline.precision import Feeds
from pipeline.recipe.plan import preset
from pipeline.stages.transform import transform
from tests.conftest import VOCABULARY, write_tokenizer
from tests.exports import export
from tests.runtime_release import (
    GRAPH,
    LABELS,
    PASSED,
    SPANS,
    Pair,
    read_manifest,
    record_again,
    write_manifest,
    write_release,
)

HEAD = "sequence_classification"
ENGINES: Mapping[str, str] = {"tensorrt-rtx": "tensorrt/rtx-{}.engine", "tensorrt": "tensorrt/trt-{}.engine"}
BUCKETS: tuple[Mapping[str, Span], ...] = (
    {"batch": SPANS["batch"], "sequence": Span(low=2, usual=16, high=16)},
    {"batch": SPANS["batch"], "sequence": Span(low=17, usual=64, high=64)},
)


def compiled(**changes: object) -> CompiledEngine:
    """A manifest entry for an engine of TensorRT-RTX, with `changes`."""
    entry = CompiledEngine(
        flavour="TensorRT-RTX",
        version="1.7.1.116",
        capabilities=("8.0", "8.6", "8.9", "12.0+"),
        profiles=BUCKETS,
        precisions={"fp16": 10},
        bytes=7,
        activation_bytes=1000,
        build_seconds=1.0,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


def device_variant(target: str, precision: str = "fp16", **changes: object) -> Variant:
    """A validated variant of `target`, whose file `with_variants` writes."""
    files = (ENGINES[target].format(precision),) if target in ENGINES else (GRAPH,)
    entry = compiled(flavour="TensorRT-RTX" if target == "tensorrt-rtx" else "TensorRT")
    variant = Variant(
        target=target,
        precision=precision,
        files=files,
        compiled=entry if target in ENGINES else None,
        validated=True,
        verdicts=PASSED,
    )
    return replace(variant, **changes)  # type: ignore[arg-type]


def with_variants(release: Path, *variants: Variant, content: bytes = b"no engine") -> Path:
    """Add `variants` to the front of the manifest, and write `content` to those of their files that are absent."""
    for file in (file for variant in variants for file in variant.files):
        path = release / file
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    manifest = read_manifest(release)
    write_manifest(release, replace(manifest, variants=(*variants, *manifest.variants)))
    record_again(release)
    return release


def engine_release(folder: Path, target: str, precision: str, **changes: object) -> Path:
    """A release with an engine of `target` that is compiled here; skips the test where the compiler is absent."""
    release = Path(shutil.copytree(wide().release, folder))
    variant = device_variant(target, precision)
    module = pytest.importorskip(target.replace("-", "_"), reason=f"{target} is not installed")
    entry = compiled(version=module.__version__, **changes)
    try:
        content = engine(target, precision)
    except MissingError as error:
        pytest.skip(error.message)
    return with_variants(release, replace(variant, compiled=entry), content=content)


def context_release(folder: Path, target: str, precision: str) -> Path:
    """A release with an engine for `target`, a provider of ONNX Runtime; skips the test where it cannot be compiled."""
    release = Path(shutil.copytree(wide().release, folder))
    compiler = targets.find_compiler(target)
    context, engine_file, graph_file = (
        name(precision) for name in (compiler.context_file, compiler.engine_file, compiler.graph_file)
    )
    (release / graph_file).parent.mkdir()
    save(graph(precision), release / graph_file)
    spans = {axis: SPANS[axis] for axis in ("batch", "sequence")}
    try:
        engine_entry = build(
            release / graph_file,
            compiler,
            EngineOptions(),
            spans,
            release / engine_file,
            progress=lambda text: None,
        )
    except MissingError as error:
        pytest.skip(error.message)
    context_model.write(
        release / graph_file, release / engine_file, engine_entry, compiler.provider, release / context
    )
    variant = Variant(
        target=target,
        precision=precision,
        files=(context, engine_file, graph_file),
        oracle=graph_file,
        compiled=engine_entry,
        validated=True,
        verdicts=PASSED,
    )
    return with_variants(release, variant)


@cache
def engine(target: str, precision: str) -> bytes:
    """The graph of `wide`, compiled for `target` with a profile for each of BUCKETS.

    The pipeline compiles it, as it does for a release: strongly typed, without TF32.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "graph.onnx"), Path(folder, "x.engine")
        save(graph(precision), source)
        shorter = tuple(bucket["sequence"].high for bucket in BUCKETS[:-1])
        options, spans = EngineOptions(buckets=shorter), {axis: SPANS[axis] for axis in ("batch", "sequence")}
        compiler = targets.find_compiler(target)
        entry = build(source, compiler, options, spans, output, progress=lambda text: None)
        assert entry.profiles == BUCKETS
        return output.read_bytes()


def graph(precision: str) -> Graph:
    """The graph of `wide` in `precision`."""
    model = load_checkpoint(wide().checkpoint, attention="eager").model
    exported = export(model, {axis: SPANS[axis] for axis in model.axes})
    # Another head's plan: for the one query and two heads that first_token leaves, there is no fused attention
    transform(exported, preset("tensorrt-rtx", precision, "features"), _batches)
    return exported


@cache
def wide() -> Pair:
    """A random checkpoint whose heads are wide enough for TensorRT's fused attention, and its release."""
    root = Path(tempfile.mkdtemp(prefix="distilforge-device-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    checkpoint = root / "random-wide"
    config = transformers.DistilBertConfig(
        vocab_size=len(dict.fromkeys(VOCABULARY)),
        max_position_embeddings=64,
        n_layers=2,
        n_heads=2,
        dim=128,
        hidden_dim=256,
        initializer_range=0.1,
        id2label=dict(enumerate(LABELS[HEAD])),
        label2id={label: index for index, label in enumerate(LABELS[HEAD])},
    )
    with torch.random.fork_rng():
        torch.manual_seed(11)
        transformers.DistilBertForSequenceClassification(config).save_pretrained(checkpoint)
    write_tokenizer(checkpoint)
    return Pair(checkpoint=checkpoint, release=write_release(checkpoint, root / "release"))


def _batches() -> Iterator[Feeds]:
    random = np.random.default_rng(0)
    return (
        {"input_ids": random.integers(0, 60, (2, 16)), "attention_mask": np.ones((2, 16), dtype=np.int64)}
        for _ in range(2)
    )
