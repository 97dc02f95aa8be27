"""Faults planted in known modules are found, however the variant is written."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from distilforge.manifest import Variant
from onnxruntime.quantization import quantize_dynamic
from safetensors.numpy import load_file, save_file

from model_src.checkpoint import load_checkpoint
from pipeline.bisection.bisect import Bisection, bisect
from pipeline.bisection.show import COLUMNS, rows, summary
from pipeline.errors import StageError, UsageError
from pipeline.graph import file as graphs
from pipeline.graph.file import Graph
from pipeline.passes import fusions
from pipeline.passes.base import apply
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan
from tests.device_release import compiled, device_variant, with_variants
from tests.exports import export
from tests.runtime_release import (
    GRAPH,
    TEXTS,
    published,
    read_manifest,
    record_again,
    record_files,
    write_manifest,
    write_release,
)
from validation.generated import random_feeds

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
    found = graph.graph.initializers.get(name)
    assert found is not None, [known for known in graph.graph.initializers if name[:30] in known]
    return found


def scaled(graph: Graph, name: str, factor: float) -> None:
    value = initializer(graph, name)
    assert value.const_value is not None
    array = value.const_value.numpy()
    value.const_value = onnx_ir.tensor((array * factor).astype(array.dtype), name=name)


def without_bias(graph: Graph, module: str) -> None:
    """Take the bias away altogether: the Add, or the kernel's input."""
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
}
ONE_QUERY: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    # Keys and values end nowhere: their weights multiply other values than in the reference
    "Q/DQ, one query": (("single_query",), ()),
    "integer products, one query": (
        ("single_query",),
        ("integer_matmul", "mask_where_needed"),
    ),
}


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


@pytest.fixture
def int8(release: Path, checkpoint: Path) -> Make:
    """`int8(form, fault)`: a release with fp32 and an int8 variant in which the fault was planted."""

    def make(form: str = "integer products", fault: Callable[[Graph], None] | None = None) -> Path:
        fused, lowered = (FORMS | ONE_QUERY)[form]
        if "single_query" in fused:
            # Fusions of attention know the eager one, and a classifier's fp32 variant has its first token alone too
            eager = export(load_checkpoint(checkpoint, attention="eager").model, read_manifest(release).spans)
            apply(eager, [fusions.find("first_token")])
            graphs.save(eager, release / GRAPH)
        graph = graphs.load(release / GRAPH)
        apply(graph, [fusions.find(name) for name in fused])
        feeds = [random_feeds((4, 12), 100, np.random.default_rng(seed)) for seed in range(4)]
        schemes.find("int8_static").run(graph, Plan(scheme="int8_static"), lambda: feeds)
        apply(graph, [fusions.find(name) for name in lowered])
        if fault is not None:
            fault(graph)
        graphs.save(graph, release / INT8)
        add_variant(release, INT8)
        return release

    return make


def add_variant(folder: Path, file: str, precision: str = "int8") -> None:
    manifest = read_manifest(folder)
    added = Variant(target="onnxruntime-cpu", precision=precision, files=(file,), validated=True)
    write_manifest(
        folder, replace(manifest, variants=(*manifest.variants, added), files=record_files(folder))
    )


def first(found: Bisection) -> str:
    return found.modules[0].name


@pytest.mark.usefixtures("exact_int8")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_first(int8: Make, data: Path, form: str, fault: str) -> None:
    module, plant = FAULTS[fault]
    found = bisect(int8(form, plant), data=data)
    assert first(found) == module, [(each.name, each.alone) for each in found.modules[:4]]
    assert not found.not_compared
    # Restored alone, the fault's module takes most of the noise with it, and nothing else takes as much.
    restored = {each.name: each.restored for each in found.modules if each.restored is not None}
    assert restored[module] == min(restored.values())
    assert restored[module] < 0.2 * found.noise


@pytest.mark.parametrize("form", ONE_QUERY)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_first_where_the_last_layer_has_one_query(
    int8: Make, data: Path, form: str, fault: str
) -> None:
    module, plant = FAULTS[fault]
    found = bisect(int8(form, plant), data=data)
    assert first(found) == module, [(each.name, each.alone) for each in found.modules[:4]]
    assert not found.not_compared


def test_what_to_exclude_is_ready_for_a_recipe(int8: Make, data: Path) -> None:
    found = bisect(int8("Q/DQ", FAULTS["scale of a weight"][1]), data=data)
    assert found.exclude == (LIN2,)
    assert found.line == f'exclude = ["{LIN2}"]'
    assert found.excluded_noise == pytest.approx(found.modules[0].restored)
    assert any("accuracy: " in line for line in summary(found))
    assert {len(row) for row in rows(found)} == {len(COLUMNS)}


def test_a_packed_projection_is_excluded_whole(int8: Make, data: Path) -> None:
    """Its parts are measured apart all the same."""

    def zero_v(graph: Graph) -> None:
        value = initializer(graph, f"{LAYER}.attention.qkv_lin.weight_quantized")
        assert value.const_value is not None
        array = value.const_value.numpy().copy()
        array[:, 2 * array.shape[1] // 3 :] = 0
        value.const_value = onnx_ir.tensor(array, name=value.name)

    found = bisect(int8("integer products", zero_v), data=data)
    assert first(found) == V
    assert found.exclude == tuple(f"{LAYER}.attention.{part}_lin" for part in "qkv")


def test_an_embedding_is_found(int8: Make, data: Path) -> None:
    found = bisect(
        int8("integer products", lambda graph: scaled(graph, f"{WORDS}.weight_quantized", 0)), data=data
    )
    assert first(found) == WORDS


def test_dynamic_quantization_by_onnxruntime(release: Path, data: Path) -> None:
    """Another tool's graph, of which the nodes and values bear other names."""
    model = onnx.load(release / GRAPH)
    del model.graph.value_info[:]
    quantize_dynamic(model, release / INT8, per_channel=True)
    graph = graphs.load(release / INT8)
    scaled(graph, f"{LIN1}.weight_scale", 2)
    graphs.save(graph, release / INT8)
    add_variant(release, INT8)
    assert first(bisect(release, data=data)) == LIN1


def test_a_fused_variant_with_its_ends_hidden(release: Path, data: Path) -> None:
    """Where a fusion takes the bias of lin1 along, what is measured ends behind it and says what it holds."""
    graph = graphs.load(release / GRAPH)
    apply(graph, [fusions.find(name) for name in ("bias_gelu", "skip_layer_norm")])
    scaled(graph, f"{LIN1}.weight", 1.5)
    graphs.save(graph, release / INT8)
    add_variant(release, INT8, "fused")
    found = bisect(release, data=data)
    assert LIN1 in (found.modules[0].name, *found.modules[0].swallowed)
    assert found.modules[0].alone > 100 * sum(module.alone for module in found.modules[1:])


def test_fp32_against_the_checkpoint(release: Path, checkpoint: Path, data: Path) -> None:
    graph = graphs.load(release / GRAPH)
    scaled(graph, f"{LIN2}.weight", 1.1)
    graphs.save(graph, release / GRAPH)
    record_again(release)
    found = bisect(release, variant="onnxruntime-cpu:fp32", checkpoint=checkpoint, data=data)
    assert [module.name for module in found.modules] == [LIN2]


def test_a_fresh_export_is_given_the_shapes_of_the_variant(
    release: Path, checkpoint: Path, data: Path
) -> None:
    graph = export(load_checkpoint(checkpoint, attention="eager").model, read_manifest(release).spans)
    passes = apply(graph, [fusions.find(name) for name in ("first_token", "flatten_tokens")])
    scaled(graph, f"{LIN2}.weight", 1.1)
    graphs.save(graph, release / INT8)
    add_variant(release, INT8)
    manifest = read_manifest(release)
    fused = replace(manifest.variants[-1], passes=passes)
    write_manifest(release, replace(manifest, variants=(*manifest.variants[:-1], fused)))
    found = bisect(release, checkpoint=checkpoint, data=data)
    assert [module.name for module in found.modules] == [LIN2]
    assert not found.modules[0].swallowed


def test_values_that_mean_something_else_are_not_exchanged(release: Path, data: Path) -> None:
    """Outliers moved from a layer norm's output into the weights that read it: no fault, and a fault beside it."""
    graph = graphs.load(release / GRAPH)
    # The residual sum reads the layer norm too, so its share is scaled back.
    norm = f"{LAYER}.sa_layer_norm"
    for end in ("weight", "bias"):
        scaled(graph, f"{norm}.{end}", 0.25)
    scaled(graph, f"{LIN1}.weight", 4)
    (end,) = (node for node in graph.graph if node.name == f"{norm}/LayerNormalization")
    (residual,) = (use for use in end.outputs[0].uses() if use.node.op_type == "Add")
    four = onnx_ir.tensor(np.float32(4), name="four")
    value = onnx_ir.Value(
        name="four", const_value=four, shape=four.shape, type=onnx_ir.TensorType(four.dtype)
    )
    graph.graph.register_initializer(value)
    back = onnx_ir.node("Mul", [end.outputs[0], value], name=f"{LAYER}/Mul")
    graph.graph.insert_before(residual.node, back)
    residual.node.replace_input_with(residual.idx, back.outputs[0])
    scaled(graph, f"{OUT}.weight", 1.2)
    graphs.save(graph, release / INT8)
    add_variant(release, INT8, "smoothed")
    found = bisect(release, data=data)
    assert found.not_compared == (norm,)
    assert [module.name for module in found.modules] == [OUT]


def test_nothing_to_bisect(release: Path) -> None:
    with pytest.raises(
        UsageError, match=r"nothing to bisect: onnxruntime-cpu:fp32|its only variant is in fp32"
    ):
        bisect(release)
    with pytest.raises(UsageError, match="no ONNX variant 'onnxruntime-cpu:int7'"):
        bisect(release, variant="onnxruntime-cpu:int7")


def test_an_engine_in_an_onnx_model_is_nothing_to_bisect(release: Path) -> None:
    name, model = "onnxruntime-rtx:fp16", "tensorrt/onnxruntime-rtx-fp16_ctx.onnx"
    with_variants(release, device_variant("onnxruntime-rtx", files=(model,), compiled=compiled()))
    with pytest.raises(UsageError, match="has nothing to bisect"):
        bisect(release)
    with pytest.raises(UsageError, match=f"{name} is an engine, whose layers cannot be exchanged"):
        bisect(release, variant=name)


def test_without_a_reference(int8: Make, checkpoint: Path, data: Path) -> None:
    folder = int8()
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, variants=manifest.variants[1:]))
    with pytest.raises(UsageError, match=r"no variant in fp32 to compare with\n.*--checkpoint"):
        bisect(folder, data=data)
    assert bisect(folder, data=data, checkpoint=checkpoint).modules


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


@pytest.mark.usefixtures("exact_int8")
def test_a_sound_variant_has_little_noise(int8: Make, data: Path) -> None:
    found = bisect(int8(), data=data)
    assert 0 < found.noise < 0.05
    assert found.examples > 0
