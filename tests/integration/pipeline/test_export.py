"""Properties of exported graphs, for every head."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from distilforge.manifest import Span

from model_src import heads
from pipeline.graph import file as graph_file
from pipeline.graph.exporter import OPSET, export
from tests.graphs import CONFIG, axes, exported, make_model


def save(graph: graph_file.Graph, folder: Path) -> Path:
    path = folder / "model.onnx"
    graph_file.save(graph, path)
    return path


def answer(path: Path, ids: torch.Tensor, mask: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})


def ragged(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids, and masks of random lengths of which the first row's is zero: nothing to attend to."""
    ids = torch.randint(0, CONFIG.vocab_size, shape)
    lengths = torch.randint(1, shape[-1] + 1, shape[:-1])
    lengths.view(-1)[0] = 0
    return ids, (torch.arange(shape[-1]) < lengths[..., None]).long()


every_head = pytest.mark.parametrize("head", heads.names())


@every_head
def test_names_and_types_of_inputs_and_outputs(head: str) -> None:
    graph = exported(head)
    model = heads.find(head)
    assert [value.name for value in graph.graph.inputs] == ["input_ids", "attention_mask"]
    assert {graph_file.describe(value).dtype for value in graph.graph.inputs} == {"int64"}
    assert all(graph_file.describe(value).shape == model.axes for value in graph.graph.inputs)
    assert tuple(value.name for value in graph.graph.outputs) == tuple(model.output_axes)
    dynamic = {"batch", "sequence", "choices"}
    for value, output_axes in zip(graph.graph.outputs, model.output_axes.values(), strict=True):
        shape = graph_file.describe(value).shape
        assert [size if isinstance(size, str) else "fixed" for size in shape] == [
            axis if axis in dynamic else "fixed" for axis in output_axes
        ]


@every_head
def test_equals_the_model_at_every_edge_of_the_spans(head: str, tmp_path: Path) -> None:
    path = save(exported(head), tmp_path)
    model = make_model(head)
    choices = (1, 8) if "choices" in model.axes else (None,)
    for batch in (1, 3, 32):
        for count in choices:
            for tokens in (1, 2, 7, 32):
                ids, mask = ragged((batch, tokens) if count is None else (batch, count, tokens))
                with torch.no_grad():
                    wanted = model(ids, mask)
                for output, expected in zip(answer(path, ids, mask), wanted, strict=True):
                    assert output.shape == tuple(expected.shape)
                    assert np.isfinite(output).all()
                    # A row with nothing to attend to has 10000 subtracted from every score, which rounds them to
                    # 1e-3: it must be finite, and is not compared. The others differ by the order of fp32 sums (6e-8
                    # each) of activations that reach 10, over two layers: by 5e-5 where most. The gate has 1e-4.
                    attends = mask.bool().any(-1).numpy()
                    np.testing.assert_allclose(output[attends], expected.numpy()[attends], rtol=0, atol=1e-4)


@every_head
def test_every_value_has_a_type_and_a_shape_after_reading_the_file(head: str, tmp_path: Path) -> None:
    graph = onnx.load(save(exported(head), tmp_path))
    onnx.checker.check_model(graph, full_check=True)
    assert [entry.version for entry in graph.opset_import] == [OPSET]
    described = {
        value.name: value.type.tensor_type
        for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output)
    }
    for node in graph.graph.node:
        for name in node.output:
            tensor = described[name]
            assert tensor.elem_type
            assert all(size.dim_param or size.HasField("dim_value") for size in tensor.shape.dim), name


@every_head
def test_node_names_begin_with_their_module(head: str) -> None:
    graph = exported(head)
    modules = {name for name, _ in make_model(head).named_modules() if name} | {head}
    names = [node.name for node in graph.graph]
    assert len(set(names)) == len(names)
    assert {name.rpartition("/")[0] for name in names} <= modules
    assert all(
        name.rpartition("/")[2].startswith(node.op_type)
        for name, node in zip(names, graph.graph, strict=True)
    )
    assert "distilbert.transformer.layer.0.attention.q_lin/MatMul" in names
    assert "distilbert.transformer.layer.1.ffn.lin2/MatMul" in names
    assert "distilbert.embeddings.word_embeddings/Gather" in names


@every_head
def test_weights_keep_the_names_of_the_checkpoint_and_are_there_once(head: str) -> None:
    graph = exported(head)
    parameters = dict(make_model(head).named_parameters())
    stored = {name: value.const_value for name, value in graph.graph.initializers.items()}
    assert set(parameters) <= set(stored)
    for name, parameter in parameters.items():
        array = stored[name].numpy()
        expected = parameter.detach().numpy()
        assert np.array_equal(array, expected) or np.array_equal(array, expected.T), name
    constants = [stored[name].numpy() for name in stored if name not in parameters]
    contents = [(array.dtype, array.shape, array.tobytes()) for array in constants]
    assert len(set(contents)) == len(contents)
    assert sum(array.nbytes for array in constants) < 1000


@every_head
def test_nothing_superfluous_is_left(head: str) -> None:
    graph = exported(head)
    kept = {value.name for value in graph.graph.outputs}
    for node in graph.graph:
        assert node.op_type not in ("Identity", "Constant", "Dropout"), node.name
        assert any(value.uses() or value.name in kept for value in node.outputs), node.name
        assert not all(value is None or value.is_initializer() for value in node.inputs) or (
            node.name
            == "vocab_projector/Transpose"  # the tied weight is stored once, in the embeddings' layout
        ), f"{node.name} is constant"
    assert all(value.uses() for value in graph.graph.initializers.values())
    assert not graph.functions
    per_layer = [node for node in graph.graph if node.name.startswith("distilbert.transformer.layer.1")]
    assert sum(node.op_type == "MatMul" for node in per_layer) == 8
    assert sum(node.op_type == "Gelu" for node in per_layer) == 1
    assert sum(node.op_type == "LayerNormalization" for node in per_layer) == 2


@every_head
def test_no_trace_of_the_exporting_machine_is_left(head: str, tmp_path: Path) -> None:
    content = save(exported(head), tmp_path).read_bytes()
    assert b".py" not in content
    assert str(Path(__file__).parents[3]).encode() not in content


def test_two_exports_are_identical_to_the_byte(tmp_path: Path) -> None:
    first = save(exported("masked_lm"), tmp_path / "first").read_bytes()
    model = make_model("masked_lm")
    assert save(export(model, axes("masked_lm")), tmp_path / "second").read_bytes() == first


def test_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    model = make_model("features", n_layers=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export(model, axes("features"))
    assert not caught
    assert capfd.readouterr() == ("", "")


def test_masked_positions_are_filled_with_a_bounded_value() -> None:
    graph = exported("sequence_classification")
    constants = [
        value.const_value.numpy() for value in graph.graph.initializers.values() if value.const_value
    ]
    assert min(array.min() for array in constants if array.dtype == np.float32) == -10000.0


@pytest.mark.parametrize(
    "changes",
    [{"sinusoidal_pos_embds": True}, {"activation": "gelu_new"}],
    ids=str,
)
def test_other_configurations(changes: dict[str, object], tmp_path: Path) -> None:
    model = make_model("token_classification", n_layers=1, **changes)
    path = save(export(model, axes("token_classification")), tmp_path)
    ids, mask = ragged((2, 9))
    with torch.no_grad():
        (expected,) = model(ids, mask)
    np.testing.assert_allclose(answer(path, ids, mask)[0], expected.numpy(), rtol=0, atol=1e-5)


def test_an_axis_with_one_size_is_fixed(tmp_path: Path) -> None:
    model = make_model("multiple_choice", n_layers=1)
    fixed = axes("multiple_choice", batch=Span(low=1, usual=1, high=1), choices=Span(low=2, usual=2, high=2))
    graph = export(model, fixed)
    assert graph_file.describe(graph.graph.inputs[0]).shape == (1, 2, "sequence")
    ids, mask = ragged((1, 2, 5))
    with torch.no_grad():
        (expected,) = model(ids, mask)
    np.testing.assert_allclose(
        answer(save(graph, tmp_path), ids, mask)[0], expected.numpy(), rtol=0, atol=1e-5
    )


def test_two_axes_of_the_same_highest_size_stay_apart(tmp_path: Path) -> None:
    model = make_model("multiple_choice", n_layers=1)
    two = Span(low=1, usual=2, high=2)
    path = save(export(model, axes("multiple_choice", batch=two, choices=two, sequence=two)), tmp_path)
    for shape in ((1, 2, 1), (2, 1, 2)):
        ids, mask = ragged(shape)
        with torch.no_grad():
            (expected,) = model(ids, mask)
        np.testing.assert_allclose(answer(path, ids, mask)[0], expected.numpy(), rtol=0, atol=1e-5)


def test_large_graphs_keep_their_weights_in_a_second_file(tmp_path: Path) -> None:
    model = make_model("features", n_layers=1)
    graph = export(model, axes("features"))
    names = graph_file.save(graph, tmp_path / "model.onnx", largest_single_file_bytes=1000)
    assert names == ("model.onnx", "model.onnx_data")
    assert (tmp_path / "model.onnx_data").stat().st_size > (tmp_path / "model.onnx").stat().st_size
    ids, mask = ragged((2, 4))
    with torch.no_grad():
        (expected,) = model(ids, mask)
    np.testing.assert_allclose(
        answer(tmp_path / "model.onnx", ids, mask)[0], expected.numpy(), rtol=0, atol=1e-5
    )
