"""Faults planted in known modules are found, however the variant is written."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from distilforge.manifest import Variant
from onnxruntime.quantization import quantize_dynamic
from safetensors.numpy import load_file, save_file

from model_src import folder as checkpoint_folder
from model_src.checkpoint import load_checkpoint
from pipeline.bisection.bisect import bisect
from pipeline.bisection.result import Bisection
from pipeline.bisection.show import COLUMNS, rows, summary
from pipeline.errors import StageError, UsageError
from pipeline.graph import file as graphs
from pipeline.graph.builder import constant, insert
from pipeline.graph.file import Graph
from pipeline.passes import registry
from pipeline.passes.base import apply
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan
from pipeline.stages import load
from tests.exports import export
from tests.runtime_release import (
    GRAPH,
    PASSED,
    TEXTS,
    published,
    read_manifest,
    record_files,
    write_manifest,
    write_release,
)
from validation.answers.generated import random_feeds

LABELS = ("negative", "positive")
INT8 = "onnx/model_quantized.onnx"
LAYER = "distilbert.transformer.layer.1"
LIN1, LIN2, OUT, V = (
    f"{LAYER}.ffn.lin1",
    f"{LAYER}.ffn.lin2",
    f"{LAYER}.attention.out_lin",
    f"{LAYER}.attention.v_lin",
)
WORDS = "distilbert.embeddings.word_embeddings"

Make = Callable[..., Path]


def initializer(graph: Graph, name: str) -> onnx_ir.Value:
    value = graph.graph.initializers.get(name)
    assert value is not None, [known for known in graph.graph.initializers if name[:30] in known]
    return value


def changed(graph: Graph, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Let an initializer hold the result of `change`, in its type."""
    value = initializer(graph, name)
    assert value.const_value is not None
    array = value.const_value.numpy()
    value.const_value = onnx_ir.tensor(change(array.copy()).astype(array.dtype), name=name)


def scaled(graph: Graph, name: str, factor: float) -> None:
    changed(graph, name, lambda array: array * factor)


def without_bias(graph: Graph, module: str) -> None:
    """Remove the bias: its Add, or the input of the kernel."""
    for use in tuple(initializer(graph, f"{module}.bias").uses()):
        if use.node.op_type == "Add":
            other = next(value for index, value in enumerate(use.node.inputs) if index != use.idx)
            use.node.outputs[0].replace_all_uses_with(other)
            graph.graph.remove(use.node, safe=True)
        else:
            use.node.replace_input_with(use.idx, None)


FAULTS: dict[str, tuple[str, Callable[[Graph], None]]] = {
    "scale of a weight": (LIN2, lambda graph: scaled(graph, f"{LIN2}.weight_scale", 2)),
    "weight zeroed": (OUT, lambda graph: scaled(graph, f"{OUT}.weight_quantized", 0)),
    "activation clipped": (LIN2, lambda graph: scaled(graph, f"{LIN2}.input_scale", 0.1)),
    "bias dropped": (LIN1, lambda graph: without_bias(graph, LIN1)),
    "bias zeroed": (OUT, lambda graph: scaled(graph, f"{OUT}.bias", 0)),
    "classifier": ("pre_classifier", lambda graph: scaled(graph, "pre_classifier.weight_scale", 3)),
    "layer norm": (
        f"{LAYER}.sa_layer_norm",
        lambda graph: scaled(graph, f"{LAYER}.sa_layer_norm.weight", 2),
    ),
}
FORMS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "Q/DQ": ((), ()),
    "integer products": (("packed_qkv",), ("integer_matmul",)),
    # Keys and values have no end: they are longer than in the reference
    # The plan for OpenVINO: values are scaled elsewhere than in the reference too
    "Q/DQ, whole vectors": (("attention_scale",), ("whole_vectors",)),
    # Neither here: their weights multiply other values than in the reference
    "Q/DQ, one query": (("single_query",), ()),
    "integer products, one query": (("single_query",), ("integer_matmul", "mask_where_needed")),
}
# Every fault in the two forms that are published, and in Q/DQ those whose nodes differ there
PLANTED = [
    *((form, fault) for form in ("integer products", "integer products, one query") for fault in FAULTS),
    *(
        (form, fault)
        for form in ("Q/DQ", "Q/DQ, whole vectors", "Q/DQ, one query")
        for fault in ("scale of a weight", "activation clipped", "bias dropped")
    ),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier whose biases matter; transformers begins with zeros."""
    folder = tmp_path_factory.mktemp("bisect") / "checkpoint"
    shutil.copytree(published("sequence_classification", LABELS).checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    random = np.random.default_rng(0)
    for name, array in weights.items():
        if name.endswith(".bias"):
            weights[name] = random.normal(0, 0.5, array.shape).astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    """Its release in fp32; not to be changed."""
    return write_release(checkpoint, checkpoint.parent / "release")


@pytest.fixture
def release(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "release"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    lines = [
        json.dumps({"text": text, "label": index % 2}) for index, text in enumerate(TEXTS) if text.strip()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def quantized(exported: Path, checkpoint: Path) -> Callable[[str], tuple[Graph, Graph]]:
    """`quantized(form)`: the fp32 graph and the int8 one, made once; not to be changed."""

    @cache
    def make(form: str) -> tuple[Graph, Graph]:
        passes_before, final_passes = FORMS[form]
        reference = graphs.load(exported / GRAPH)
        if {"single_query", "whole_vectors"} & {*passes_before, *final_passes}:
            # Passes of attention need the eager one
            spans = read_manifest(exported).spans
            reference = export(load_checkpoint(checkpoint, attention="eager").model, spans)
        if "attention_scale" in passes_before:
            apply(reference, [registry.find("attention_scale")])
            passes_before = ()
        if "single_query" in passes_before:
            # A classifier's fp32 variant has its first token alone too
            apply(reference, [registry.find("first_token")])
        graph = reference.clone()
        apply(graph, [registry.find(name) for name in passes_before])
        feeds = [random_feeds((4, 12), 100, np.random.default_rng(seed)) for seed in range(4)]
        # Products with weights of 7 bits are exact on every CPU
        plan = Plan(
            scheme="int8_static", weight_bits=7, smoothing=0.8 if "whole_vectors" in final_passes else 0
        )
        schemes.find(plan.scheme).run(graph, plan, lambda: feeds)
        apply(graph, [registry.find(name) for name in final_passes])
        return reference, graph

    return make


@pytest.fixture
def int8(release: Path, quantized: Callable[[str], tuple[Graph, Graph]]) -> Make:
    """`int8(form, fault)`: a release with fp32 and an int8 variant in which the fault was planted."""

    def make(form: str = "integer products", fault: Callable[[Graph], None] | None = None) -> Path:
        reference, variant = (graph.clone() for graph in quantized(form))
        if fault is not None:
            fault(variant)
        graphs.save(reference, release / GRAPH)
        graphs.save(variant, release / INT8)
        add_variant(release, INT8)
        return release

    return make


def add_variant(folder: Path, file: str, precision: str = "int8") -> None:
    manifest = read_manifest(folder)
    added = Variant(
        target="onnxruntime-cpu", precision=precision, files=(file,), validated=True, verdicts=PASSED
    )
    write_manifest(
        folder, replace(manifest, variants=(*manifest.variants, added), files=record_files(folder))
    )


def record_checkpoint(folder: Path, checkpoint: Path) -> None:
    """Let the manifest of the release in `folder` name `checkpoint`, as that of a build does."""
    manifest = read_manifest(folder)
    digest = load.source(checkpoint_folder.find(checkpoint, head=manifest.head)).digest
    write_manifest(
        folder, replace(manifest, provenance=replace(manifest.provenance, checkpoint_sha256=digest))
    )


def costliest(bisection: Bisection) -> str:
    return bisection.modules[0].name


@pytest.mark.parametrize(("form", "fault"), PLANTED)
def test_a_planted_fault_is_named_first(int8: Make, data: Path, form: str, fault: str) -> None:
    module, plant = FAULTS[fault]
    bisection = bisect(int8(form, plant), data=data)
    assert costliest(bisection) == module, [(tried.name, tried.alone) for tried in bisection.modules[:4]]
    scaled = [f"distilbert.transformer.layer.{layer}.attention" for layer in (0, 1)]
    assert list(bisection.not_compared) == (scaled if "whole" in form else [])
    # Restored alone, the module with the fault takes more of the noise with it than any other.
    restored = {tried.name: tried.restored for tried in bisection.modules if tried.restored is not None}
    assert restored[module] == min(restored.values())
    # Smoothing costs a model of random weights more noise than the rest
    assert restored[module] < (0.8 if "whole" in form else 0.5) * bisection.noise


def test_what_to_exclude_is_ready_for_a_recipe(int8: Make, data: Path) -> None:
    bisection = bisect(int8("Q/DQ", FAULTS["scale of a weight"][1]), data=data)
    assert bisection.exclude == (LIN2,)
    assert bisection.line == f'exclude = ["{LIN2}"]'
    assert bisection.excluded_noise == pytest.approx(bisection.modules[0].restored)
    assert any("accuracy: " in line for line in summary(bisection))
    assert {len(row) for row in rows(bisection)} == {len(COLUMNS)}


def test_a_packed_projection_is_excluded_whole(int8: Make, data: Path) -> None:
    """Its three parts are measured one by one."""

    def zero_v(array: np.ndarray) -> np.ndarray:
        array[:, 2 * array.shape[1] // 3 :] = 0
        return array

    name = f"{LAYER}.attention.qkv_lin.weight_quantized"
    bisection = bisect(int8("integer products", lambda graph: changed(graph, name, zero_v)), data=data)
    assert costliest(bisection) == V
    assert bisection.exclude == tuple(f"{LAYER}.attention.{part}_lin" for part in "qkv")


def test_an_embedding_is_found(int8: Make, data: Path) -> None:
    bisection = bisect(
        int8("integer products", lambda graph: scaled(graph, f"{WORDS}.weight_quantized", 0)), data=data
    )
    assert costliest(bisection) == WORDS


def test_dynamic_quantization_by_onnxruntime(release: Path, data: Path) -> None:
    """A graph of another tool, which gives nodes and values other names."""
    model = onnx.load(release / GRAPH)
    del model.graph.value_info[:]
    quantize_dynamic(model, release / INT8, per_channel=True)
    graph = graphs.load(release / INT8)
    scaled(graph, f"{LIN1}.weight_scale", 2)
    graphs.save(graph, release / INT8)
    add_variant(release, INT8)
    assert costliest(bisect(release, data=data)) == LIN1


def test_a_fused_variant_with_its_ends_hidden(release: Path, data: Path) -> None:
    """Where a pass takes the bias of lin1, the next end is measured, and names lin1 as swallowed."""
    graph = graphs.load(release / GRAPH)
    apply(graph, [registry.find(name) for name in ("bias_gelu", "skip_layer_norm")])
    scaled(graph, f"{LIN1}.weight", 1.5)
    graphs.save(graph, release / INT8)
    add_variant(release, INT8, "fused")
    bisection = bisect(release, data=data)
    assert LIN1 in (bisection.modules[0].name, *bisection.modules[0].swallowed)
    assert bisection.modules[0].alone > 100 * sum(module.alone for module in bisection.modules[1:])


def test_a_fresh_export_is_given_the_shapes_of_the_variant(
    release: Path, checkpoint: Path, data: Path
) -> None:
    graph = export(load_checkpoint(checkpoint, attention="eager").model, read_manifest(release).spans)
    passes = apply(graph, [registry.find(name) for name in ("first_token", "flatten_tokens")])
    scaled(graph, f"{LIN2}.weight", 1.1)
    graphs.save(graph, release / INT8)
    add_variant(release, INT8)
    manifest = read_manifest(release)
    fused = replace(manifest.variants[-1], passes=passes)
    write_manifest(release, replace(manifest, variants=(*manifest.variants[:-1], fused)))
    record_checkpoint(release, checkpoint)
    bisection = bisect(release, checkpoint=checkpoint, data=data)
    assert [module.name for module in bisection.modules] == [LIN2]
    assert not bisection.modules[0].swallowed


def test_another_checkpoint_than_the_releases_is_refused(
    release: Path, checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    record_checkpoint(release, checkpoint)
    other = Path(shutil.copytree(checkpoint, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"dropout": 0.3}))
    with pytest.raises(
        UsageError, match=r"other is not the checkpoint of .*: its digest should be [0-9a-f]{64}"
    ):
        bisect(release, variant="onnxruntime-cpu:fp32", checkpoint=other, data=data)


def test_values_that_mean_something_else_are_not_exchanged(release: Path, data: Path) -> None:
    """Outliers that moved from a layer norm's output into the next weights are not a fault; out_lin has a real one."""
    graph = graphs.load(release / GRAPH)
    # The residual sum reads the layer norm too, so its share is scaled back.
    norm = f"{LAYER}.sa_layer_norm"
    for end in ("weight", "bias"):
        scaled(graph, f"{norm}.{end}", 0.25)
    scaled(graph, f"{LIN1}.weight", 4)
    (end,) = (node for node in graph.graph if node.name == f"{norm}/LayerNormalization")
    (residual,) = (use for use in end.outputs[0].uses() if use.node.op_type == "Add")
    back = insert(
        graph,
        residual.node,
        "Mul",
        [end.outputs[0], constant(graph, "four", np.asarray(4, dtype=np.float32))],
        name=f"{LAYER}/Mul",
        dtype=onnx_ir.DataType.FLOAT,
        shape=end.outputs[0].shape,
    )
    residual.node.replace_input_with(residual.idx, back)
    scaled(graph, f"{OUT}.weight", 1.2)
    graphs.save(graph, release / INT8)
    add_variant(release, INT8, "smoothed")
    bisection = bisect(release, data=data)
    assert bisection.not_compared == (norm,)
    assert [module.name for module in bisection.modules] == [OUT]


def test_names_that_are_lost(int8: Make, data: Path) -> None:
    def rename(graph: Graph) -> None:
        for number, node in enumerate(graph.graph):
            node.name = f"node_{number}"
            for index, value in enumerate(node.outputs):
                if not value.is_graph_output():
                    value.name = f"value_{number}_{index}"
        for number, value in enumerate(tuple(graph.graph.initializers.values())):
            value.name = f"weight_{number}"

    with pytest.raises(StageError, match="no module in common by name"):
        bisect(int8("Q/DQ", rename), data=data)


def test_a_sound_variant_has_little_noise(int8: Make, data: Path) -> None:
    bisection = bisect(int8(), data=data)
    assert 0 < bisection.noise < 0.05
    assert bisection.examples > 0
