"""What a machine can do is observed, and an unknown need is never taken for met."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from distilforge import UnavailableError, machine
from distilforge.machine import (
    exact_int8,
    exact_int8_pairs,
    exact_int8_precise,
    openvino_bf16,
    openvino_exact_int8,
)
from distilforge.machine.onnx_bytes import OPSET, matmul_integer, quantized_matmul
from distilforge.openvino import one_product, package
from distilforge.records.processor import Processor


def test_the_bytes_are_a_valid_graph() -> None:
    _, weights = exact_int8.extremes()
    model = onnx.load_from_string(matmul_integer(weights))
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == OPSET
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(model.graph.initializer[0]), weights)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (129, 5)])
def test_sizes_beyond_one_byte_are_encoded(shape: tuple[int, int]) -> None:
    """200 and 129 take two bytes as varints."""
    weights = np.arange(np.prod(shape), dtype=np.int64).astype(np.int8).reshape(shape)
    session = onnxruntime.InferenceSession(matmul_integer(weights), providers=["CPUExecutionProvider"])
    # Below 128, pairs of products stay exact on processors that add them in 16 bits
    activations = (np.arange(2 * shape[0]) % 128).astype(np.uint8).reshape(2, shape[0])
    (product,) = session.run(None, {"activations": activations})
    np.testing.assert_array_equal(product, activations.astype(np.int32) @ weights.astype(np.int32))


def test_the_extremes_overflow_16_bits_in_both_directions() -> None:
    activations, weights = (array.astype(np.int32) for array in exact_int8.extremes())
    pairs = activations[:, ::2, None] * weights[None, ::2] + activations[:, 1::2, None] * weights[None, 1::2]
    assert pairs.max() == 2 * 255 * 127
    assert pairs.min() == -2 * 255 * 128


def saturate(monkeypatch: pytest.MonkeyPatch, *, apart: int = 1) -> None:
    """Put the arithmetic of VPMADDUBSW in place of ONNX Runtime's; it adds inputs that are `apart` from each other."""
    order = np.arange(exact_int8.INNER).reshape(-1, 2, apart).transpose(0, 2, 1).reshape(-1)

    class Saturating:
        def __init__(self, model: bytes, options: object, providers: list[str]) -> None:
            initializer = onnx.load_from_string(model).graph.initializer[0]
            self.weights = onnx.numpy_helper.to_array(initializer).astype(np.int32)

        def run(self, names: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            products = (feeds["activations"].astype(np.int32)[:, :, None] * self.weights[None])[:, order]
            return [np.clip(products[:, ::2] + products[:, 1::2], -(2**15), 2**15 - 1).sum(axis=1)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Saturating)


def test_a_kernel_that_saturates_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    saturate(monkeypatch)
    activations, weights = exact_int8.extremes()
    observed = exact_int8.deviation(activations, weights)
    assert observed is not None
    assert f"computed {32 * 32767} for a sum that is {64 * 255 * 127}" in observed
    # With 7-bit weights the same kernel is exact.
    assert exact_int8.deviation(activations, (weights // 2).astype(np.int8)) is None
    # So it is with 8-bit weights whose pairs are bounded.
    assert exact_int8.deviation(*exact_int8_pairs.paired_extremes()) is None


def test_the_largest_pairs_that_fit_nearly_fill_16_bits_in_both_directions() -> None:
    activations, weights = (array.astype(np.int32) for array in exact_int8_pairs.paired_extremes())
    pairs = activations[:, ::2, None] * weights[None, ::2] + activations[:, 1::2, None] * weights[None, 1::2]
    assert pairs.max() == 128 * 255 <= np.iinfo(np.int16).max
    assert pairs.min() == -128 * 255 >= np.iinfo(np.int16).min


@pytest.mark.parametrize("apart", [2, 4])
def test_a_kernel_that_adds_others_than_neighbours_is_seen(
    apart: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    saturate(monkeypatch, apart=apart)
    assert "saturate here" in str(exact_int8.deviation(*exact_int8_pairs.paired_extremes()))


@pytest.mark.parametrize("name", ["exact-int8-pairs", "openvino-exact-int8-pairs"])
def test_products_of_bounded_pairs_are_exact_on_every_processor(name: str) -> None:
    assert machine.lacking([name]) is None


def test_products_are_exact_on_every_processor_with_the_precise_setting() -> None:
    assert exact_int8.deviation(*exact_int8.extremes(), exact_int8.PRECISE) is None
    assert machine.lacking(["exact-int8-precise"]) is None


def test_older_versions_are_not_asked_for_precise_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """They abort the process, so nothing may be run with the setting."""
    monkeypatch.setattr(exact_int8_precise, "exact_int8", lambda: "sums are cut off")
    monkeypatch.setattr(exact_int8_precise, "deviation", lambda *arguments: pytest.fail("it was run"))
    monkeypatch.setattr(onnxruntime, "__version__", "1.29.0")
    observed = exact_int8_precise.exact_int8_precise.__wrapped__()
    assert observed == (
        "sums are cut off; onnxruntime 1.30 and later can be exact: pip install --upgrade onnxruntime"
    )
    monkeypatch.setattr(exact_int8_precise, "exact_int8", lambda: None)
    assert exact_int8_precise.exact_int8_precise.__wrapped__() is None


def test_an_unknown_need_is_not_met() -> None:
    observed = machine.lacking(["exact-int88"])
    assert observed is not None
    assert "needs 'exact-int88', which this distilforge does not know" in observed
    assert "did you mean 'exact-int8'?; pip install --upgrade distilforge" in observed


def test_what_was_observed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.needs._entries, "exact-int8", lambda: "sums are cut off")
    assert machine.lacking(["exact-int8"]) == "it needs 'exact-int8', and sums are cut off"
    monkeypatch.setitem(machine.needs._entries, "exact-int8", lambda: None)
    assert machine.lacking(["exact-int8"]) is None
    assert machine.lacking([]) is None


def test_a_need_is_observed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = machine.lacking(["exact-int8"])
    monkeypatch.delattr(onnxruntime, "InferenceSession")
    assert machine.lacking(["exact-int8"]) == first


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (64, 32), (3, 200)])
def test_the_quantized_product_is_a_valid_graph_and_the_same_product(rows: int, columns: int) -> None:
    weights = np.arange(rows * columns).reshape(rows, columns).astype(np.int8)
    onnx.checker.check_model(onnx.load_from_string(quantized_matmul(weights)), full_check=True)
    session = onnxruntime.InferenceSession(quantized_matmul(weights), providers=["CPUExecutionProvider"])
    # Below 128, pairs of products stay exact on processors that add them in 16 bits
    activations = (np.arange(2 * rows) % 128).astype(np.uint8).reshape(2, rows)
    (product,) = session.run(None, {"activations": activations.astype(np.float32)})
    np.testing.assert_array_equal(product, activations.astype(np.int32) @ weights.astype(np.int32))


def test_a_kernel_of_openvino_that_saturates_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arithmetic of VPMADDUBSW in place of this machine's."""

    def runner(model: bytes, precision: str) -> Callable[[np.ndarray], np.ndarray]:
        (constant,) = (
            value for value in onnx.load_from_string(model).graph.initializer if value.name == "weights"
        )
        weights = onnx.numpy_helper.to_array(constant).astype(np.int32)

        def run(activations: np.ndarray) -> np.ndarray:
            products = activations.astype(np.int32)[:, :, None] * weights[None]
            pairs = np.clip(products[:, ::2] + products[:, 1::2], -(2**15), 2**15 - 1)
            return pairs.sum(axis=1).astype(np.float32)

        return run

    monkeypatch.setattr(one_product, "runner", runner)
    activations, weights = exact_int8.extremes()
    observed = openvino_exact_int8.deviation(activations, weights)
    assert observed is not None
    assert f"OpenVINO computed {32 * 32767} for a sum that is {64 * 255 * 127}" in observed
    assert openvino_exact_int8.deviation(activations, (weights // 2).astype(np.int8)) is None


@pytest.mark.parametrize(
    ("sets", "clause"),
    [
        (("avx2", "fma"), "without avx512_vnni or avx_vnni or amx_int8; the processor has avx2, fma"),
        (("avx2", "avx512f"), "the processor has avx2, avx512f"),
        (("avx2", "avx_vnni"), None),
        (("asimd", "asimddp"), None),
        ((), None),
    ],
)
def test_without_vnni_openvino_is_not_asked(
    sets: tuple[str, ...], clause: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = Processor(model="a processor", instruction_sets=sets, cores=2)
    monkeypatch.setattr(openvino_exact_int8, "this_processor", lambda: processor)
    asked: list[bytes] = []

    def runner(model: bytes, precision: str) -> Callable[[np.ndarray], np.ndarray]:
        asked.append(model)
        _, weights = exact_int8.extremes()
        return lambda activations: activations @ weights.astype(np.float32)

    monkeypatch.setattr(one_product, "runner", runner)
    answer = openvino_exact_int8.openvino_exact_int8.__wrapped__()
    assert (answer is None) == (clause is None) == bool(asked)
    assert clause is None or clause in str(answer)


@pytest.mark.parametrize(
    ("sets", "asked"),
    [(("avx2", "avx_vnni"), False), (("avx2", "amx_int8"), False), (("avx2",), True), ((), True)],
)
def test_an_experiment_is_made_only_where_the_instructions_leave_doubt(
    sets: tuple[str, ...], asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(machine.needs._entries, "openvino-exact-int8", lambda: "sums are cut off")
    processor = Processor(model="a processor", instruction_sets=sets, cores=2)
    monkeypatch.setattr(machine, "this_processor", lambda: processor)
    lacking = "it needs 'openvino-exact-int8', and sums are cut off"
    assert machine.expected_lacking(["openvino-exact-int8"]) == (lacking if asked else None)
    assert machine.lacking(["openvino-exact-int8"]) == lacking


def test_a_need_that_cannot_be_tested_is_not_met(monkeypatch: pytest.MonkeyPatch) -> None:
    def need() -> str | None:
        raise UnavailableError("openvino does not import: it is damaged")

    monkeypatch.setitem(machine.needs._entries, "openvino-bf16", need)
    observed = machine.lacking(["openvino-bf16"])
    assert observed == "it needs 'openvino-bf16', and openvino does not import: it is damaged"


@pytest.mark.parametrize(
    ("sets", "used", "observed"),
    [
        (("avx2", "fma"), "f32", "the processor has no amx_bf16 or avx512_bf16; it has avx2, fma"),
        # It imitates bf16
        (("avx2", "avx512f", "avx512_vnni"), "bf16", "the processor has no amx_bf16 or avx512_bf16"),
        (("avx512f", "avx512_bf16"), "bf16", None),
        (("amx_bf16",), "bf16", None),
        (("amx_bf16",), "f32", "OpenVINO was asked for bf16 and computes in f32 here"),
        ((), "f32", "OpenVINO was asked for bf16 and computes in f32 here"),
        ((), "bf16", None),
    ],
)
def test_bf16_needs_a_processor_that_computes_it(
    sets: tuple[str, ...], used: str, observed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = Processor(model="a processor", instruction_sets=sets, cores=2)
    monkeypatch.setattr(openvino_bf16, "this_processor", lambda: processor)
    monkeypatch.setattr(one_product, "precision_used", lambda model, precision: used)
    monkeypatch.setattr(package, "is_installed", lambda: True)
    # Without its cache
    answer = openvino_bf16.openvino_bf16.__wrapped__()
    assert answer is None if observed is None else str(answer).startswith(observed)
