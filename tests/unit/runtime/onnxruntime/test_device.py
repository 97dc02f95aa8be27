"""ONNX Runtime's providers for devices: what they need, and which nodes fall back to the CPU."""

import ctypes
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import onnx_ir
import onnxruntime
import pytest
from distilforge import EngineError, UnavailableError
from distilforge.backends import Backend, backends
from distilforge.checks.outputs import check_finite
from distilforge.cuda.driver import Device, Driver
from distilforge.onnxruntime import cuda_graphs, placement
from distilforge.onnxruntime import device as onnxruntime_device
from distilforge.onnxruntime import sizes as onnx_sizes
from distilforge.onnxruntime.device import OnnxRuntimeDevice, zip_shapes
from distilforge.onnxruntime.engine import InferenceSession
from distilforge.onnxruntime.placement import described
from distilforge.plugin import Plugin
from distilforge.tensorrt.backend import TensorRT

from tests.device_release import HEAD
from tests.graphs import exported
from tests.runtime_release import GRAPH, copied, read_manifest

DRIVER = Driver(version=(13, 0), devices=(Device(index=0, name="A GPU", capability=(8, 6)),))
# A provider that every onnxruntime has, and that supports none of our nodes
AZURE = "AzureExecutionProvider"
CPU = "CPUExecutionProvider"
ENGINE = "onnxruntime-rtx"

needs_azure = pytest.mark.skipif(
    AZURE not in onnxruntime.get_available_providers(), reason=f"this onnxruntime has no {AZURE}"
)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return copied(HEAD, tmp_path / "release")


def load(
    release: Path, backend: OnnxRuntimeDevice, *, providers: tuple[str, ...] | None = None, **session: str
) -> object:
    manifest = read_manifest(release)
    variant = replace(manifest.variants[0], session=session)
    return backend.load(variant, release, manifest=manifest, providers=providers, threads=1)


def placed(nodes: Mapping[str, str]) -> InferenceSession:
    """A session that says that `nodes`, operators by name, run on the CPU: what a device's provider leaves there."""
    parts = [
        SimpleNamespace(
            ep_name=CPU,
            get_nodes=lambda: [
                SimpleNamespace(name=name, domain="", op_type=operator) for name, operator in nodes.items()
            ],
        )
    ]
    return cast("InferenceSession", SimpleNamespace(get_provider_graph_assignment_info=lambda: parts))


class TestPlacement:
    backend = OnnxRuntimeDevice(provider=AZURE, preference=1)

    @needs_azure
    def test_nodes_on_the_cpu_are_an_error(self, release: Path) -> None:
        with pytest.raises(
            UnavailableError,
            match=r"(?s)[0-9]+ nodes of 'model.onnx' would run on the CPU, because AzureExecutionProvider does not "
            r"support them: .*MatMul \(distilbert\.transformer\.layer\.0.*providers=\('AzureExecutionProvider', 'CPU",
        ) as raised:
            load(release, self.backend)
        # Nodes that compute sizes belong on the CPU
        assert " Shape (" not in str(raised.value)
        assert "embeddings/Range" not in str(raised.value)
        assert "word_embeddings/Gather" in str(raised.value)

    @needs_azure
    @pytest.mark.parametrize("how", ["provider", "setting"])
    def test_allowed(self, release: Path, how: str) -> None:
        if how == "provider":
            engine = load(release, self.backend, providers=(AZURE, CPU))
        else:
            engine = load(release, self.backend, allow_cpu_fallback="1")
        assert isinstance(engine, onnxruntime_device.OnnxRuntimeEngine)
        feeds = {name: np.ones((1, 4), dtype=np.int64) for name in ("input_ids", "attention_mask")}
        assert engine.run(feeds)["logits"].shape == (1, 3)

    @needs_azure
    def test_an_onnxruntime_that_does_not_record(
        self, release: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(onnxruntime.InferenceSession.__base__, "get_provider_graph_assignment_info")
        with pytest.raises(UnavailableError, match=r"would run on the CPU.*assigned to the default CPU EP"):
            load(release, self.backend)

    def test_a_provider_that_is_absent(self, release: Path) -> None:
        absent = OnnxRuntimeDevice(provider="CUDAExecutionProvider", preference=1)
        if absent.provider in onnxruntime.get_available_providers():
            pytest.skip("this onnxruntime has it")
        with pytest.raises(
            UnavailableError, match="'CUDAExecutionProvider' is not in the installed onnxruntime"
        ):
            load(release, absent)

    def test_nodes_that_onnxruntime_made_for_sizes(self, release: Path) -> None:
        """On an H100, Slices of a Shape became Gathers, which have names that the file does not have."""
        graph = release / GRAPH
        made = {"Gather_token_1": "Gather", "distilbert.embeddings/Range": "Range"}
        placement.check(placed(made), graph, "A")
        with pytest.raises(UnavailableError, match=r"1 nodes of .*: 1 MatMul \(made\)"):
            placement.check(placed({**made, "made": "MatMul"}), graph, "A")
        own = "distilbert.embeddings.word_embeddings/Gather"
        with pytest.raises(UnavailableError, match=rf"1 Gather \({own}\)"):
            placement.check(placed({**made, own: "Gather"}), graph, "A")

    def test_described(self) -> None:
        nodes = [(f"layer.{index}/MatMul", "MatMul") for index in range(5)] + [("a", "com.microsoft.Gelu")]
        assert described(nodes) == (
            "5 MatMul (layer.0/MatMul, layer.1/MatMul, layer.2/MatMul, ...); 1 com.microsoft.Gelu (a)"
        )


class TestSizes:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        onnx_ir.save(exported(), tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    def test_nodes_that_compute_sizes(self, model: Path) -> None:
        found = onnx_sizes.names(model)
        names = found.sizes
        assert found.every == {node.name for node in onnx_ir.load(model).graph}
        assert {"sequence_classification/Shape", "sequence_classification/Squeeze"} <= names
        assert "distilbert.embeddings/Range" in names
        assert "distilbert.transformer.layer.0.attention/Concat" in names
        # These have a size among their inputs, but also weights or activations
        assert not [name for name in names if "position_embeddings/Gather" in name or "Reshape" in name]
        assert not [name for name in names if "MatMul" in name or "word_embeddings" in name]

    def test_as_the_graph_library_sees_it(self, model: Path) -> None:
        """Oracle: the same rule applied to the graph of onnx_ir, which has its own parser."""
        graph = onnx_ir.load(model).graph
        sizes: set[str] = set()
        expected = set()
        for node in graph:
            fed = [value for value in node.inputs if value is not None]
            small = {
                value.name for value in fed if value.const_value is not None and value.const_value.size <= 64
            }
            if node.op_type in ("Shape", "Size") or (
                any(value.name in sizes for value in fed)
                and all(value.name in sizes or value.name in small for value in fed)
            ):
                sizes |= {str(value.name) for value in node.outputs}
                expected.add(node.name)
        assert onnx_sizes.names(model).sizes == expected

    @pytest.mark.parametrize("content", [b"\xff" * 20, b"\x3a\x7f", b"\x0b\x00"])
    def test_a_file_that_is_not_a_model(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x.onnx").write_bytes(content)
        with pytest.raises(ValueError, match=r"cut short|unknown kind"):
            onnx_sizes.names(tmp_path / "x.onnx")


class TestObstacles:
    def test_an_onnxruntime_without_the_provider(self, release: Path) -> None:
        backend = OnnxRuntimeDevice(provider="NoSuchExecutionProvider", preference=1)
        clause = backend.obstacle(read_manifest(release).variants[0], lambda: DRIVER)
        assert clause is not None
        assert clause.startswith(f"onnxruntime {onnxruntime.__version__} has no NoSuchExecutionProvider")
        assert "onnxruntime-gpu[cuda,cudnn]" in clause

    def test_both_packages_installed(self, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onnxruntime_device, "version", lambda package: "1.31.1")
        backend = OnnxRuntimeDevice(provider="NoSuchExecutionProvider", preference=1)
        clause = backend.obstacle(read_manifest(release).variants[0], lambda: DRIVER)
        assert clause is not None
        assert (
            "onnxruntime-gpu 1.31.1 is installed too, and both write the same files; pip uninstall" in clause
        )

    def test_a_plugin_that_is_absent(self, release: Path) -> None:
        backend = OnnxRuntimeDevice(
            provider="NoSuchExecutionProvider",
            preference=1,
            plugin=Plugin(module="no_such_plugin", install="pip install no-such-plugin", device=""),
        )
        clause = backend.obstacle(read_manifest(release).variants[0], lambda: DRIVER)
        assert clause == (
            f"onnxruntime {onnxruntime.__version__} has no NoSuchExecutionProvider; pip install no-such-plugin"
        )

    def test_a_plugin_that_does_not_load(self) -> None:
        backend = OnnxRuntimeDevice(
            provider="NoSuchExecutionProvider",
            preference=1,
            plugin=Plugin(module="json", install="pip install it", device=""),
        )
        with pytest.raises(
            UnavailableError, match=r"(?s)json does not load: .*get_library_path.*pip install it"
        ):
            backend.prepare()

    def test_a_driver_older_than_the_package(self, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
        backend = OnnxRuntimeDevice(provider=CPU, preference=1)
        variant = read_manifest(release).variants[0]
        clause = backend.obstacle(variant, lambda: replace(DRIVER, version=(12, 8)))
        assert clause is not None
        assert "needs a driver for CUDA 13.0 or later" in clause
        assert "this machine's driver is for CUDA 12.8" in clause
        assert backend.obstacle(variant, lambda: DRIVER) is None

    def test_a_library_that_is_absent(
        self, release: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
        (tmp_path / "capi").mkdir()
        backend = OnnxRuntimeDevice(provider=CPU, preference=1, library="provider")
        variant = read_manifest(release).variants[0]
        assert backend.obstacle(variant, lambda: DRIVER) is None
        real = ctypes.CDLL
        (tmp_path / "capi" / "libprovider.so").write_bytes(b"no library")
        # A library that is present and fails for another reason is left to ONNX Runtime
        assert backend.obstacle(variant, lambda: DRIVER) is None
        monkeypatch.setattr(
            ctypes, "CDLL", lambda path: real("libcublasLt.so.99" if "libprovider" in path else path)
        )
        clause = backend.obstacle(variant, lambda: DRIVER)
        assert clause is not None
        assert "needs a library that is absent: libcublasLt.so.99: cannot open" in clause


def group(backend: Backend) -> str:
    if isinstance(backend, TensorRT):
        return "engines"
    if isinstance(backend, OnnxRuntimeDevice):
        return "providers with engines" if backend.runtime is not None else "providers"
    return "processors"


def test_engines_go_before_providers_and_devices_before_processors() -> None:
    every = [backend for name in backends.names() if (backend := backends.get(name)) is not None]
    every.sort(key=lambda backend: -backend.preference)
    groups = [group(backend) for backend in every]
    assert list(dict.fromkeys(groups)) == ["engines", "providers with engines", "providers", "processors"]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)
    # Of variants for processors, which may share a preference, the fastest is chosen
    devices = [backend.preference for backend in every if group(backend) != "processors"]
    assert len(set(devices)) == len(devices)


def test_tensorrt_goes_before_tensorrt_rtx() -> None:
    for first, second in (("tensorrt", "tensorrt-rtx"), ("onnxruntime-tensorrt", "onnxruntime-rtx")):
        backend, other = backends.get(first), backends.get(second)
        assert backend is not None
        assert other is not None
        assert backend.preference > other.preference


def test_shapes_for_a_provider_that_compiles(release: Path) -> None:
    assert zip_shapes(("min", "opt", "max"), read_manifest(release)) == {
        "min": "input_ids:1x2,attention_mask:1x2",
        "opt": "input_ids:4x16,attention_mask:4x16",
        "max": "input_ids:8x64,attention_mask:8x64",
    }


def test_options_of_a_provider(release: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls: list[object] = []

    def record(path: Path, options: object, providers: object, **besides: object) -> object:
        calls.append((providers, besides))
        raise RuntimeError("no TensorRT here")

    monkeypatch.setattr(onnxruntime, "InferenceSession", SimpleNamespace(__call__=record))
    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    backend = OnnxRuntimeDevice(
        provider=CPU,
        preference=1,
        options={"trt_engine_cache_enable": "True", "use_tf32": "0"},
        profile_options=("low", "usual", "high"),
        cache_options=("trt_engine_cache_path",),
    )
    with pytest.raises(UnavailableError, match="CPUExecutionProvider does not start: no TensorRT here"):
        load(release, backend, **{"provider.use_tf32": "1"})
    ((providers, besides),) = calls  # type: ignore[misc]
    assert besides == {"enable_fallback": 0}
    ((name, options),) = providers
    assert name == CPU
    folder = Path(options.pop("trt_engine_cache_path"))
    assert folder.parent == tmp_path / "cache" / "distilforge" / "onnxruntime"
    assert options == {
        "trt_engine_cache_enable": "True",
        "use_tf32": "1",
        **zip_shapes(("low", "usual", "high"), read_manifest(release)),
    }


def test_every_graph_has_a_folder_of_its_own_for_what_is_compiled_from_it(
    release: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folders: list[Path] = []

    def record(path: Path, options: object, providers: list[tuple[str, dict[str, str]]], **_: object) -> None:
        folders.append(Path(providers[0][1]["trt_engine_cache_path"]))
        raise RuntimeError("no TensorRT here")

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    backend = OnnxRuntimeDevice(provider=CPU, preference=1, cache_options=("trt_engine_cache_path",))
    # A model that was trained again has the file names of the first one
    retrained = copied(HEAD, tmp_path / "retrained")
    graph = retrained / read_manifest(retrained).variants[0].files[0]
    model = onnx_ir.load(graph)
    model.doc_string = "other weights"
    onnx_ir.save(model, graph)
    for opened in (release, release, retrained):
        with pytest.raises(UnavailableError):
            load(opened, backend)
    first, again, other = folders
    assert first == again != other
    for folder in folders:
        assert folder.parent == tmp_path / "cache" / "distilforge" / "onnxruntime"
        assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["kernel_options", "cache_options"])
def test_a_cache_that_cannot_be_written(
    release: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    kind: str,
) -> None:
    """Kernels are then compiled for each process; engines would be written into the current folder."""
    (tmp_path / "distilforge").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    listed: list[object] = []

    def record(path: Path, options: object, providers: object, **_: object) -> None:
        listed.append(providers)
        raise RuntimeError("no TensorRT here")

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    backend = OnnxRuntimeDevice(provider=CPU, preference=1, **{kind: ("a_folder",)})  # type: ignore[arg-type]
    with pytest.raises(UnavailableError) as caught:
        load(release, backend)
    if kind == "kernel_options":
        assert listed == [[(CPU, {})]]
        assert "what CPUExecutionProvider compiles is not kept" in caplog.text
    else:
        assert not listed
        assert "cannot be written" in caught.value.message


class TestFinite:
    def check(self, outputs: Mapping[str, object]) -> None:
        check_finite({name: np.asarray(value) for name, value in outputs.items()}, "an engine")

    def test_numbers(self) -> None:
        self.check(
            {"logits": np.full((3, 2), 3e38, dtype=np.float32), "ids": [[1, 2]], "empty": np.zeros((0, 3))}
        )

    def test_counts_by_output(self) -> None:
        logits = np.zeros((4, 3, 2), dtype=np.float16)
        logits[1, 0, 0] = logits[1, 2, 1] = np.nan
        logits[3, 0, 0] = np.inf
        with pytest.raises(
            EngineError, match="'logits' of an engine holds 2 NaN and 1 infinite of 24 values, in 2 of 4 rows"
        ):
            self.check({"good": [1.0], "logits": logits})

    def test_infinities_of_both_signs(self) -> None:
        with pytest.raises(EngineError, match="0 NaN and 2 infinite of 2 values"):
            self.check({"x": [np.inf, -np.inf]})


class TestSeveralDevices:
    """A machine with three GPUs, which ONNX Runtime may list in another order than CUDA."""

    backend = OnnxRuntimeDevice(provider="A", preference=1, capabilities=("8.6", "12.0+"))
    driver = Driver(
        version=(13, 0),
        devices=(
            Device(index=0, name="Old", capability=(8, 0), pci="0000:65:00.0"),
            Device(index=1, name="New", capability=(12, 0), pci="0000:B3:00.0"),
            Device(index=2, name="Newer", capability=(12, 0), pci="0000:C4:00.0"),
        ),
    )

    @pytest.fixture
    def given(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
        """How a session was asked for: the devices of a plugin, or the providers of onnxruntime itself."""
        monkeypatch.setattr(onnxruntime_device, "survey", lambda: self.driver)
        given: dict[str, object] = {}

        class Options(onnxruntime.SessionOptions):
            def add_provider_for_devices(self, devices: list[object], options: object) -> None:
                given["devices"] = devices

        def refuse(path: object, options: object, providers: object = None, **besides: object) -> object:
            given["providers"] = providers
            raise RuntimeError("no device")

        monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
        monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
        return given

    @staticmethod
    def of_plugin(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[SimpleNamespace]:
        """A plugin's devices, in ONNX Runtime's order; one without an address says nothing of it."""
        devices = [
            SimpleNamespace(device=SimpleNamespace(metadata={"pci_bus_id": address} if address else {}))
            for address in addresses
        ]
        monkeypatch.setattr(onnxruntime_device, "devices_of", lambda provider: devices)
        return devices

    @pytest.mark.parametrize(
        ("addresses", "index"),
        [
            (("0000:b3:00.0", "0000:65:00.0", "0000:c4:00.0"), 0),
            (("0000:65:00.0", "0000:b3:00.0"), 1),
            # The first that fits is not one of ONNX Runtime's
            (("0000:65:00.0", "0000:c4:00.0"), 1),
            (("", ""), 0),
        ],
    )
    def test_a_plugin_gets_the_first_that_it_supports(
        self,
        release: Path,
        given: dict[str, object],
        addresses: tuple[str, ...],
        index: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        devices = self.of_plugin(monkeypatch, *addresses)
        with pytest.raises(UnavailableError, match="does not start: no device"):
            load(release, self.backend)
        assert given == {"devices": [devices[index]], "providers": None}

    def test_a_plugin_gets_the_one_that_is_named(
        self, release: Path, given: dict[str, object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        devices = self.of_plugin(monkeypatch, "0000:b3:00.0", "0000:c4:00.0")
        with pytest.raises(UnavailableError, match="does not start: no device"):
            load(release, self.backend, providers=("cuda:2",))
        assert given == {"devices": devices[1:], "providers": None}

    @pytest.mark.parametrize("addresses", [("", ""), ("",), ("0000:b3:00.0",)])
    def test_a_named_one_that_onnxruntime_may_not_mean(
        self,
        release: Path,
        given: dict[str, object],
        addresses: tuple[str, ...],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.of_plugin(monkeypatch, *addresses)
        with pytest.raises(
            UnavailableError,
            match=r"(?s)which of its devices is cuda:2.*set CUDA_VISIBLE_DEVICES to that",
        ):
            load(release, self.backend, providers=("cuda:2",))
        assert not given

    @pytest.mark.parametrize(
        ("providers", "addresses", "index"),
        [
            (None, ("0000:b3:00.0", "0000:c4:00.0"), 1),
            (None, ("0000:65:00.0", "0000:c4:00.0"), 2),
            (None, ("",), 1),
            (("cuda:2",), ("0000:b3:00.0", "0000:c4:00.0"), 2),
        ],
    )
    def test_arrays_of_cuda_graphs_are_on_the_same_device(
        self,
        release: Path,
        given: dict[str, object],
        providers: tuple[str, ...] | None,
        addresses: tuple[str, ...],
        index: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.of_plugin(monkeypatch, *addresses)
        opened = SimpleNamespace(disable_fallback=lambda: None)
        monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **besides: opened)
        indices: list[int] = []

        def of(session: object, options: object, at: int) -> object:
            indices.append(at)
            raise UnavailableError("no further")

        monkeypatch.setattr(cuda_graphs, "of", of)
        with pytest.raises(UnavailableError, match="no further"):
            load(release, self.backend, providers=providers)
        assert indices == [index]

    @pytest.mark.parametrize(
        ("capabilities", "providers", "options"),
        [
            ((), None, {}),
            ((), (CPU,), {}),
            ((), ("cuda:0",), {}),
            ((), ("cuda:2",), {"device_id": "2"}),
            # Without a name it is the first that fits, which need not be the first
            (("8.6", "12.0+"), None, {"device_id": "1"}),
        ],
    )
    def test_onnxruntime_itself_gets_the_number(
        self,
        release: Path,
        given: dict[str, object],
        capabilities: tuple[str, ...],
        providers: tuple[str, ...] | None,
        options: dict[str, str],
    ) -> None:
        backend = OnnxRuntimeDevice(provider=CPU, preference=1, capabilities=capabilities)
        with pytest.raises(UnavailableError, match="does not start: no device"):
            load(release, backend, providers=providers)
        assert given == {"providers": [(CPU, options)]}

    @needs_azure
    def test_a_named_one_and_the_processor(self, release: Path, given: dict[str, object]) -> None:
        backend = OnnxRuntimeDevice(provider=AZURE, preference=1)
        with pytest.raises(UnavailableError, match="does not start: no device"):
            load(release, backend, providers=("cuda:1", CPU))
        assert given == {"providers": [(AZURE, {"device_id": "1"}), CPU]}

    @pytest.mark.parametrize(
        ("providers", "message"),
        [
            (
                ("cuda:7",),
                r"(?s)there is no cuda:7; this machine has Old \(cuda:0\) of 8\.0, .*pass one of cuda:0, ",
            ),
            (
                ("cuda:0",),
                r"(?s)Provider does not run .* on Old \(cuda:0\) of 8\.0.*pass one of cuda:1, cuda:2$",
            ),
            (
                ("cuda:1", "cuda:2"),
                r"(?s)runs on one device, and cannot use .* cuda:1, cuda:2.*one of cuda:1, cuda:2",
            ),
            (
                (CPU, "cuda:1"),
                r"runs on one device, and cannot use the providers CPUExecutionProvider, cuda:1",
            ),
            (("cuda",), r"runs with CPUExecutionProvider, and not with cuda alone"),
        ],
    )
    def test_names_that_cannot_be_used(
        self, release: Path, given: dict[str, object], providers: tuple[str, ...], message: str
    ) -> None:
        backend = OnnxRuntimeDevice(provider=CPU, preference=1, capabilities=("8.6", "12.0+"))
        with pytest.raises(UnavailableError, match=message):
            load(release, backend, providers=providers)
        assert not given

    def test_a_name_on_a_machine_without_a_driver(
        self, release: Path, given: dict[str, object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(onnxruntime_device, "survey", lambda: "this machine has no NVIDIA driver")
        with pytest.raises(UnavailableError, match="there is no cuda:0: this machine has no NVIDIA driver"):
            load(release, OnnxRuntimeDevice(provider=CPU, preference=1), providers=("cuda:0",))
        assert not given

    def test_a_graph_for_a_device_that_the_provider_does_not_support(self, release: Path) -> None:
        variant = read_manifest(release).variants[0]
        hopper = Device(index=0, name="NVIDIA H100", capability=(9, 0))
        backend = backends.get("onnxruntime-rtx")
        assert isinstance(backend, OnnxRuntimeDevice)
        assert backend.obstacle(variant, lambda: replace(self.driver, devices=(hopper,))) == (
            "NvTensorRTRTXExecutionProvider needs an NVIDIA GPU of compute capability 8.6, 8.9, or 12.0 and later, and "
            "this machine has NVIDIA H100 (cuda:0) of 9.0"
        )
