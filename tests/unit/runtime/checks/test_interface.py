"""A manifest that says what the graph does not is refused when the graph is loaded, or when it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import distilforge
import numpy as np
import onnx
import pytest
from distilforge.checks.interface import check_interface, check_outputs
from distilforge.engine import Array
from distilforge.errors import EngineError, ReleaseError
from distilforge.manifest import Manifest, Span, Tensor
from distilforge.release import verify

from tests.runtime_release import GRAPH, LABELS, published, read_manifest, record_again, write_manifest

Change = Callable[[Manifest], Manifest]


@dataclass(frozen=True)
class Reporting:
    """An engine that only reports its inputs and outputs."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    providers: tuple[str, ...] = ()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        raise AssertionError("nothing is run")


@pytest.fixture
def manifest() -> Manifest:
    return read_manifest(published("sequence_classification", LABELS["sequence_classification"]).release)


def check(manifest: Manifest, inputs: tuple[Tensor, ...] = (), outputs: tuple[Tensor, ...] = ()) -> None:
    engine = Reporting(inputs=inputs or manifest.inputs, outputs=outputs or manifest.outputs)
    check_interface(manifest, manifest.variants[0], engine)


def shaped(tensors: tuple[Tensor, ...], *shape: int | str) -> tuple[Tensor, ...]:
    return tuple(replace(tensor, shape=shape) for tensor in tensors)


def test_what_an_engine_leaves_open_is_accepted(manifest: Manifest) -> None:
    check(manifest)
    check(
        manifest,
        inputs=tuple(replace(tensor, dtype="", shape=("", "")) for tensor in manifest.inputs),
        outputs=shaped(manifest.outputs, "", "Gemmlogits_dim_1"),
    )


def test_a_graph_of_one_size_is_accepted_with_a_span_of_that(manifest: Manifest) -> None:
    one = replace(manifest, spans={**manifest.spans, "batch": Span(low=1, usual=1, high=1)})
    check(one, inputs=shaped(manifest.inputs, 1, "sequence"), outputs=shaped(manifest.outputs, 1, 3))
    with pytest.raises(
        ReleaseError, match=r"has the shape \(batch, sequence\), and the file's has \(1, sequence\)"
    ):
        check(manifest, inputs=shaped(manifest.inputs, 1, "sequence"))


def test_the_order_of_inputs_does_not_count(manifest: Manifest) -> None:
    check(manifest, inputs=manifest.inputs[::-1])


def with_inputs(manifest: Manifest, **changes: object) -> Manifest:
    inputs = tuple(replace(tensor, **changes) for tensor in manifest.inputs)  # type: ignore[arg-type]
    return replace(manifest, inputs=inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda sound: with_inputs(sound, dtype="int32"),
            "its input 'input_ids' is int32, and the file's is int64",
        ),
        (
            lambda sound: replace(sound, outputs=(replace(sound.outputs[0], dtype="float64"),)),
            "its output 'logits' is float64, and the file's is float32",
        ),
        (
            lambda sound: with_inputs(sound, shape=("sequence", "batch")),
            r"has the shape \(sequence, batch\), and the file's has \(batch, sequence\)",
        ),
        (
            lambda sound: with_inputs(sound, shape=("batch", "sequence", 1)),
            r"has the shape \(batch, sequence, 1\), and the file's has \(batch, sequence\)",
        ),
        (
            lambda sound: replace(sound, inputs=sound.inputs[:1]),
            "it has the inputs 'input_ids', and the file has 'input_ids, attention_mask'",
        ),
        (
            lambda sound: replace(
                sound, outputs=(*sound.outputs, Tensor(name="more", dtype="float32", shape=("batch",)))
            ),
            "it has the outputs 'logits, more', and the file has 'logits'",
        ),
    ],
)
def test_a_release_whose_graph_is_another(release: Path, change: Change, message: str) -> None:
    write_manifest(release, change(read_manifest(release)))
    verify(release)
    with pytest.raises(ReleaseError, match=message) as raised:
        distilforge.open(release)
    assert f"does not fit '{GRAPH}' of the variant 'onnxruntime-cpu:fp32'" in str(raised.value)


def test_a_graph_with_more_classes_than_labels(release: Path) -> None:
    """The graph of another checkpoint, whose digest is listed."""
    two = published("sequence_classification", ("bad", "good")).release
    (release / GRAPH).write_bytes((two / GRAPH).read_bytes())
    record_again(release)
    with pytest.raises(ReleaseError, match=r"shape \(batch, 3\), and the file's has \(batch, 2\)"):
        distilforge.open(release)


def test_a_graph_whose_number_of_classes_is_known_when_it_answers(release: Path) -> None:
    model = onnx.load(release / GRAPH)
    for node in model.graph.node:
        node.output[:] = ["all" if name == "logits" else name for name in node.output]
    two = onnx.numpy_helper.from_array(np.array([True, True, False]), "two")
    model.graph.initializer.append(two)
    model.graph.node.append(onnx.helper.make_node("Compress", ["all", "two"], ["logits"], axis=1))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "classes"
    onnx.save(model, release / GRAPH)
    record_again(release)
    session = distilforge.open(release, head=distilforge.SequenceClassification)
    with pytest.raises(
        EngineError, match=r"'logits' with the shape \(1, 2\); the manifest says \(batch, 3\)"
    ):
        session("good movie")


def test_outputs_have_the_sizes_of_the_inputs(manifest: Manifest) -> None:
    feeds = dict.fromkeys(("input_ids", "attention_mask"), np.zeros((2, 5), dtype=np.int64))
    check_outputs({"logits": np.zeros((2, 3), dtype=np.float32)}, feeds, manifest)
    for shape in ((1, 3), (2, 4), (2, 3, 1), (2,)):
        with pytest.raises(EngineError, match="answered 'logits' with the shape"):
            check_outputs({"logits": np.zeros(shape, dtype=np.float32)}, feeds, manifest)
    with pytest.raises(EngineError, match="did not answer the output 'logits'"):
        check_outputs({}, feeds, manifest)
