"""Which variant is bisected, what it is compared with, and which texts are run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.manifest import Manifest, PassRecord, Variant

from pipeline.bisection import inputs
from pipeline.errors import UsageError
from tests.device_release import compiled, device_variant
from tests.runtime_release import published, read_manifest
from validation.errors import DataError

LABELS = ("negative", "positive")
INT8 = Variant(target="onnxruntime-cpu", precision="int8", files=("onnx/model_int8.onnx",), validated=True)
FP16 = replace(INT8, precision="fp16", files=("onnx/model_fp16.onnx",))
ENGINE = device_variant(
    "onnxruntime-rtx", files=("tensorrt/onnxruntime-rtx-fp16_ctx.onnx",), compiled=compiled()
)


@pytest.fixture(scope="module")
def release() -> Path:
    """A release in fp32; not to be changed."""
    return published("sequence_classification", LABELS).release


def manifest(release: Path, *variants: Variant) -> Manifest:
    """The release's manifest with `variants` after fp32."""
    plain = read_manifest(release)
    return replace(plain, variants=(*plain.variants, *variants))


def test_the_first_quantized_variant_is_chosen(release: Path) -> None:
    assert inputs.choose(manifest(release, ENGINE, FP16, INT8), None, None) == FP16
    assert inputs.choose(manifest(release, FP16, INT8), INT8.name, None) == INT8


def test_fp32_is_compared_with_a_checkpoint_only(release: Path) -> None:
    everything = manifest(release, INT8)
    fp32 = everything.variants[0]
    assert inputs.choose(everything, fp32.name, Path("checkpoint")) == fp32
    with pytest.raises(UsageError, match=rf"nothing to bisect: {fp32.name} is in fp32.*\n.*--checkpoint"):
        inputs.choose(everything, fp32.name, None)


def test_a_release_without_a_quantized_variant(release: Path) -> None:
    with pytest.raises(UsageError, match="nothing to bisect: its only variant is in fp32"):
        inputs.choose(manifest(release), None, None)
    with pytest.raises(UsageError, match="nothing to bisect"):
        inputs.choose(manifest(release, ENGINE), None, None)


def test_a_variant_that_is_not_there_has_the_nearest_name(release: Path) -> None:
    with pytest.raises(UsageError, match=r"no ONNX variant 'onnxruntime-cpu:int7'\n.*onnxruntime-cpu:int8"):
        inputs.choose(manifest(release, INT8), "onnxruntime-cpu:int7", None)


@pytest.mark.parametrize(("variants", "hint"), [((INT8,), INT8.name), ((), "this release does not have any")])
def test_an_engine_cannot_be_bisected(release: Path, variants: tuple[Variant, ...], hint: str) -> None:
    with pytest.raises(UsageError, match=f"{ENGINE.name} is an engine, .*\n.*{hint}"):
        inputs.choose(manifest(release, ENGINE, *variants), ENGINE.name, None)


def test_bf16_that_only_the_engine_rounds_to_cannot_be_bisected(release: Path) -> None:
    rounded = replace(INT8, target="openvino", precision="bf16", session={"INFERENCE_PRECISION_HINT": "bf16"})
    with pytest.raises(
        UsageError, match="the graph of openvino:bf16 is in fp32, and OpenVINO rounds to bf16"
    ):
        inputs.choose(manifest(release, rounded), rounded.name, None)
    assert inputs.choose(manifest(release, rounded, INT8), None, None) == INT8


def test_graphs_whose_modules_end_in_other_shapes_are_not_compared(release: Path) -> None:
    flat = replace(INT8, passes=(PassRecord(name="flatten_tokens", rewrites=5),))
    with pytest.raises(UsageError, match=r"differ in the pass flatten_tokens, .*\n.*--checkpoint"):
        inputs.reference(release, manifest(release, flat), None, flat)


def test_without_fp32_a_checkpoint_is_needed(release: Path) -> None:
    without = replace(manifest(release), variants=(INT8,))
    with pytest.raises(UsageError, match=r"no variant in fp32 to compare with\n.*--checkpoint"):
        inputs.reference(release, without, None, INT8)


def test_the_reference_is_the_fp32_variant(release: Path) -> None:
    graph = inputs.reference(release, manifest(release, INT8), None, INT8)
    assert [value.name for value in graph.graph.outputs] == ["logits"]


def texts(folder: Path, *lines: str) -> Path:
    path = folder / "texts.jsonl"
    path.write_text(
        "".join(json.dumps({"text": line, "label": index % 2}) + "\n" for index, line in enumerate(lines)),
        encoding="utf-8",
    )
    return path


def tokens(release: Path, data: Path | None) -> tuple[int, int]:
    """How many texts an evaluation has, and how many tokens."""
    evaluation = inputs.evaluation(release, manifest(release), data)
    return len(evaluation.examples), sum(row.tokens * len(row.encodings) for row in evaluation.rows)


def test_texts_end_where_the_tokens_do(release: Path, tmp_path: Path) -> None:
    # 30 words and two special tokens
    count, total = tokens(release, texts(tmp_path, *["cat " * 30] * 100))
    assert (count, total) == (inputs.TOKENS // 32, inputs.TOKENS)
    # Even where 8 texts have more tokens
    assert tokens(release, texts(tmp_path, *["cat " * 30] * 3))[0] == 3


def test_without_data_there_are_texts_that_fit(release: Path) -> None:
    count, total = tokens(release, None)
    assert count >= inputs.FEWEST_EXAMPLES
    assert total > 0


def test_a_label_that_the_model_does_not_have_is_an_error(release: Path, tmp_path: Path) -> None:
    data = tmp_path / "texts.jsonl"
    data.write_text('{"text": "good", "label": 7}\n', encoding="utf-8")
    with pytest.raises(DataError, match="7"):
        inputs.evaluation(release, manifest(release), data)
