"""Loading with both runtimes: the real toolkit has every method that is called, and they are called correctly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distilforge import ReleaseError, UnavailableError
from distilforge.backends.tensorrt import TENSORRT
from distilforge.backends.tensorrt_rtx import TENSORRT_RTX
from distilforge.cuda.runtime import CudaPython
from distilforge.manifest import Variant
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.engine_runtime import EngineRuntime
from distilforge.tensorrt.kernels import KernelCache
from distilforge.tensorrt.loading import load_engine
from distilforge.tensorrt.settings import EngineSettings
from distilforge.tensorrt.toolkit import LoadedEngine
from onnx import GraphProto, ModelProto, TensorProto

from tests.device_release import compiled, device_variant
from tests.fake_gpu.cuda import FakeCuda
from tests.fake_gpu.toolkit import GPU, INPUTS, OUTPUT, PROFILES, Strategy, Toolkit, Validity

USED = {
    "": "__version__ nptype Runtime Refitter OnnxParserRefitter ILogger TensorIOMode",
    "Runtime": "deserialize_cuda_engine get_engine_validity engine_host_code_allowed",
    "ICudaEngine": "num_io_tensors get_tensor_name get_tensor_mode get_tensor_dtype num_optimization_profiles "
    "get_tensor_profile_shape device_memory_size_v2 create_execution_context create_runtime_config",
    "IExecutionContext": "set_optimization_profile_async set_input_shape set_tensor_address get_tensor_shape "
    "execute_async_v3 set_device_memory",
    "IRuntimeConfig": "create_runtime_cache set_runtime_cache cuda_graph_strategy "
    "dynamic_shapes_kernel_specialization_strategy",
    "IRuntimeCache": "serialize deserialize",
    "Refitter": "refit_cuda_engine",
    "OnnxParserRefitter": "refit_from_file",
    "EngineValidity": "INVALID SUBOPTIMAL",
    "EngineInvalidityDiagnostics": "__members__",
    "CudaGraphStrategy": "WHOLE_GRAPH_CAPTURE",
    "DynamicShapesKernelSpecializationStrategy": "LAZY EAGER NONE",
    "ExecutionContextAllocationStrategy": "USER_MANAGED",
}


@pytest.mark.parametrize("name", USED)
def test_the_real_toolkit_has_what_is_used(name: str) -> None:
    toolkit = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    subject = getattr(toolkit, name) if name else toolkit
    assert [used for used in USED[name].split() if not hasattr(subject, used)] == []


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "distilforge" / "tensorrt-rtx"


def load(
    folder: Path,
    toolkit: Toolkit,
    engine_runtime: EngineRuntime,
    settings: EngineSettings | None = None,
    variant: Variant | None = None,
    **options: str,
) -> tuple[LoadedEngine, KernelCache | None]:
    chosen = variant or device_variant("tensorrt-rtx" if engine_runtime is TENSORRT_RTX else "tensorrt")
    chosen = replace(chosen, compiled=compiled(flavour=engine_runtime.name, options=options))
    path = folder / chosen.files[0]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"engine")
    return load_engine(toolkit, engine_runtime, chosen, folder, GPU, settings or EngineSettings())


def check(loaded: LoadedEngine, cuda: FakeCuda, kernels: KernelCache | None, graphs: int = 0) -> None:
    engine = TensorRTEngine(loaded, CudaPython(), GPU, EngineSettings(cuda_graphs=graphs), kernels)
    for tokens in (8, 40, 8, 8):
        ids = np.full((2, tokens), 3)
        logits = engine.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})["logits"]
        np.testing.assert_array_equal(logits, [[3 * tokens, tokens, int(tokens > 16)]] * 2)
    engine.close()


@pytest.mark.parametrize("engine_runtime", [TENSORRT_RTX, TENSORRT])
def test_loaded(tmp_path: Path, cuda: FakeCuda, engine_runtime: EngineRuntime) -> None:
    loaded, kernels = load(tmp_path, Toolkit(cuda), engine_runtime)
    assert loaded.name == f"{engine_runtime.name} 1.2.3.4 on A device"
    assert (loaded.inputs, loaded.outputs, loaded.profiles) == (INPUTS, (OUTPUT,), PROFILES)
    check(loaded, cuda, kernels)


def test_graphs_of_tensorrt_have_contexts_of_their_own(tmp_path: Path, cuda: FakeCuda) -> None:
    toolkit = Toolkit(cuda)
    loaded, kernels = load(tmp_path, toolkit, TENSORRT)
    check(loaded, cuda, kernels, graphs=2)
    assert toolkit.contexts == [Strategy.USER_MANAGED] * 2
    assert kernels is None


def test_rtx_gets_its_settings_in_a_configuration(tmp_path: Path, cuda: FakeCuda, cache: Path) -> None:
    toolkit = Toolkit(cuda)
    loaded, kernels = load(tmp_path, toolkit, TENSORRT_RTX, EngineSettings(cuda_graphs=2, kernels="EAGER"))
    check(loaded, cuda, kernels, graphs=2)
    assert toolkit.config.cuda_graph_strategy == "whole"
    assert toolkit.config.dynamic_shapes_kernel_specialization_strategy == "eager"
    assert toolkit.contexts == [toolkit.config]
    assert not cuda.graphs
    (kept,) = cache.iterdir()
    assert kept.read_bytes() == b"kernels"
    again = Toolkit(cuda)
    load(tmp_path, again, TENSORRT_RTX)
    assert again.config.cache is not None
    assert again.config.cache.content == b"kernels"


def test_rtx_without_a_cache(tmp_path: Path, cuda: FakeCuda, cache: Path) -> None:
    toolkit = Toolkit(cuda)
    loaded, kernels = load(tmp_path, toolkit, TENSORRT_RTX, EngineSettings(runtime_cache=False))
    check(loaded, cuda, kernels)
    assert kernels is None
    assert toolkit.config.cache is None
    assert not cache.exists()


def test_diagnostics_of_the_toolkit(tmp_path: Path, cuda: FakeCuda) -> None:
    toolkit = Toolkit(cuda, (Validity.INVALID, 3))
    with pytest.raises(
        UnavailableError,
        match=r"cannot run on this machine: version mismatch, unsupported cc; it was built by TensorRT-RTX "
        r"1\.7\.1\.116 for 8\.0, .* and this machine has A device \(cuda:0\) of 8\.6",
    ):
        load(tmp_path, toolkit, TENSORRT_RTX)


def test_an_engine_that_cannot_be_deserialized(tmp_path: Path, cuda: FakeCuda) -> None:
    toolkit = Toolkit(cuda)
    toolkit.loads = False
    with pytest.raises(
        UnavailableError, match=r"cannot load 'tensorrt/trt-fp16.engine' on A device \(cuda:0\)"
    ):
        load(tmp_path, toolkit, TENSORRT)


@pytest.mark.parametrize("allowed", [True, False])
def test_code_in_an_engine_runs_only_where_it_must(tmp_path: Path, cuda: FakeCuda, allowed: bool) -> None:
    toolkit = Toolkit(cuda)
    load(tmp_path, toolkit, TENSORRT, version_compatible=str(allowed).lower())
    assert toolkit.host_code.engine_host_code_allowed is allowed


class TestStripped:
    variant = replace(device_variant("tensorrt"), oracle="tensorrt/trt-fp16.onnx")

    @pytest.fixture(autouse=True)
    def _graph(self, tmp_path: Path) -> None:
        """An ONNX file without a graph, whose field 1 is the version of the format."""
        (tmp_path / "tensorrt").mkdir()
        (tmp_path / self.variant.oracle).write_bytes(b"\x08\x0a")

    def test_weights_come_from_the_graph(self, tmp_path: Path, cuda: FakeCuda) -> None:
        toolkit = Toolkit(cuda)
        load(tmp_path, toolkit, TENSORRT, variant=self.variant, weights_stripped="true")
        assert toolkit.refitted == [str(tmp_path / "tensorrt/trt-fp16.onnx")]

    def test_no_graph(self, tmp_path: Path, cuda: FakeCuda) -> None:
        with pytest.raises(ReleaseError, match="an engine without weights, and no graph"):
            load(tmp_path, Toolkit(cuda), TENSORRT, weights_stripped="true")

    def test_weights_that_do_not_fit(self, tmp_path: Path, cuda: FakeCuda) -> None:
        toolkit = Toolkit(cuda)
        toolkit.refits = False
        with pytest.raises(ReleaseError, match="do not fit the engine"):
            load(tmp_path, toolkit, TENSORRT, variant=self.variant, weights_stripped="true")

    def test_weights_in_another_file(self, tmp_path: Path, cuda: FakeCuda) -> None:
        tensor = TensorProto(name="w", data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="../../secret")
        model = ModelProto(graph=GraphProto(initializer=[tensor]))
        (tmp_path / self.variant.oracle).write_bytes(model.SerializeToString())
        with pytest.raises(ReleaseError, match=r"keeps weights in '\.\./\.\./secret'"):
            load(tmp_path, Toolkit(cuda), TENSORRT, variant=self.variant, weights_stripped="true")
