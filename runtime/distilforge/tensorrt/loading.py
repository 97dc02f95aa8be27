"""Loads an engine's file: checks, weights, kernels and contexts."""

import logging
import mmap
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from distilforge import user_cache
from distilforge.checks import onnx_file
from distilforge.cuda.device_names import having
from distilforge.cuda.driver import Device
from distilforge.errors import ReleaseError, UnavailableError
from distilforge.manifest import Variant
from distilforge.tensorrt.engine_runtime import EngineRuntime
from distilforge.tensorrt.kernels import KernelCache, path_for
from distilforge.tensorrt.log import Log, log_of
from distilforge.tensorrt.obstacles import VERSION_COMPATIBLE, built, compiled
from distilforge.tensorrt.profiles import Profile
from distilforge.tensorrt.settings import EngineSettings
from distilforge.tensorrt.toolkit import Context, LoadedEngine

WEIGHTS_STRIPPED = "weights_stripped"
_logger = logging.getLogger("distilforge")


def load_engine(
    toolkit: Any,
    engine_runtime: EngineRuntime,
    variant: Variant,
    folder: Path,
    device: Device,
    settings: EngineSettings,
) -> tuple[LoadedEngine, KernelCache | None]:
    """Load the variant's engine on `device`, which must be this thread's device.

    `toolkit` is the module of `engine_runtime`. Returns the engine, and the file of its kernels, if they are kept.
    Raises UnavailableError, with the toolkit's message, where the toolkit refuses the engine.
    """
    name = f"{engine_runtime.name} {toolkit.__version__}"
    log = log_of(toolkit, name)
    runtime = toolkit.Runtime(log)
    # Such an engine contains its runtime, which is code
    if compiled(variant).options.get(VERSION_COMPATIBLE) == "true":
        runtime.engine_host_code_allowed = True
    path = folder / variant.files[0]
    engine = _deserialized(toolkit, runtime, path, variant, device, name, log)
    if compiled(variant).options.get(WEIGHTS_STRIPPED) == "true":
        _refit(toolkit, engine, variant, folder, log)
    kernels = None
    if engine_runtime.compiles_kernels:
        config, kernels = _runtime_config(toolkit, engine, path, name, device, settings)
        new_context = _factory(lambda: engine.create_execution_context(config), name, log)
    else:
        # The contexts of a lane share one piece of memory for activations
        strategy = toolkit.ExecutionContextAllocationStrategy.USER_MANAGED
        new_context = _factory(lambda: engine.create_execution_context(strategy), name, log)
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = tuple(tensor for tensor in names if engine.get_tensor_mode(tensor) == toolkit.TensorIOMode.INPUT)
    loaded = LoadedEngine(
        name=f"{name} on {device.name}",
        inputs=inputs,
        outputs=tuple(tensor for tensor in names if tensor not in inputs),
        dtypes={tensor: np.dtype(toolkit.nptype(engine.get_tensor_dtype(tensor))) for tensor in names},
        shapes={tensor: tuple(engine.get_tensor_shape(tensor)) for tensor in names},
        profiles=tuple(_profile(engine, inputs, index) for index in range(engine.num_optimization_profiles)),
        new_context=new_context,
        scratch_bytes=None if engine_runtime.compiles_kernels else int(engine.device_memory_size_v2),
        captures_graphs=engine_runtime.compiles_kernels,
        complaints=log.complaints,
        kept=(runtime, log, engine),
    )
    return loaded, kernels


def _deserialized(
    toolkit: Any, runtime: Any, path: Path, variant: Variant, device: Device, name: str, log: Log
) -> Any:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if hasattr(runtime, "get_engine_validity"):
            validity, diagnostics = runtime.get_engine_validity(content)
            causes = _diagnoses(toolkit, diagnostics)
            if validity == toolkit.EngineValidity.INVALID:
                raise UnavailableError(
                    f"{name} says that {variant.files[0]!r} cannot run on this machine: "
                    f"{causes or log.complaints()}; it was built by {built(compiled(variant))}, and this machine has "
                    f"{having([device])}",
                    hint="build the release with what this machine has, or open another variant",
                )
            if validity == toolkit.EngineValidity.SUBOPTIMAL:
                _logger.warning("%s says that %s is slower here than it could be: %s", name, path, causes)
        engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise UnavailableError(
            f"{name} cannot load {variant.files[0]!r} on {having([device])}: {log.complaints()}",
            hint=f"it was built by {built(compiled(variant))}; if this machine differs, build the release again",
        )
    return engine


def _diagnoses(toolkit: Any, diagnostics: int) -> str:
    """The meanings of the bits in `diagnostics`, in words."""
    members = toolkit.EngineInvalidityDiagnostics.__members__
    return ", ".join(
        name.lower().replace("_", " ") for name, member in members.items() if int(diagnostics) & member.value
    )


def _refit(toolkit: Any, engine: Any, variant: Variant, folder: Path, log: Log) -> None:
    """Put the weights of the release's graph into an engine that was built without weights."""
    if not variant.oracle:
        raise ReleaseError(
            f"the variant {variant.name!r} has an engine without weights, and no graph to take them from",
            hint="publish the release again",
        )
    onnx_file.check(folder, variant, variant.oracle)
    refitter = toolkit.Refitter(engine, log)
    parser = toolkit.OnnxParserRefitter(refitter, log)
    if not parser.refit_from_file(str(folder / variant.oracle)) or not refitter.refit_cuda_engine():
        raise ReleaseError(
            f"the weights of {variant.oracle!r} do not fit the engine {variant.files[0]!r}: {log.complaints()}",
            hint="both must come from one build; publish the release again",
        )


def _runtime_config(
    toolkit: Any, engine: Any, path: Path, name: str, device: Device, settings: EngineSettings
) -> tuple[Any, KernelCache | None]:
    config = engine.create_runtime_config()
    if config is None:
        raise UnavailableError(
            f"{name} cannot make a configuration for {path.name}",
            hint="the device's memory may be full",
        )
    if settings.cuda_graphs:
        config.cuda_graph_strategy = toolkit.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    if settings.kernels is not None:
        config.dynamic_shapes_kernel_specialization_strategy = getattr(
            toolkit.DynamicShapesKernelSpecializationStrategy, settings.kernels
        )
    if not settings.runtime_cache:
        return config, None
    try:
        cache_folder = user_cache.folder("tensorrt-rtx")
    except UnavailableError as error:
        _logger.warning("kernels are compiled again for every process: %s", error.message)
        return config, None
    cache = config.create_runtime_cache()
    if cache is None:
        _logger.warning("kernels are compiled again for every process: %s cannot make a cache", name)
        return config, None
    kernels = KernelCache(cache, path_for(cache_folder, path, name, f"{device.name} {device.capability}"))
    kernels.load()
    config.set_runtime_cache(cache)
    return config, kernels


def _factory(create: Callable[[], Any], name: str, log: Log) -> Callable[[], Context]:
    one_at_a_time = Lock()

    def make() -> Context:
        with one_at_a_time:
            context: Context | None = create()
        if context is None:
            raise UnavailableError(
                f"{name} cannot make an execution context: {log.complaints()}",
                hint="the device's memory may be full; a variant's setting 'contexts' limits their number",
            )
        return context

    return make


def _profile(engine: Any, inputs: tuple[str, ...], index: int) -> Profile:
    shapes = {name: engine.get_tensor_profile_shape(name, index) for name in inputs}
    return Profile(
        index=index,
        lows={name: tuple(low) for name, (low, _, _) in shapes.items()},
        highs={name: tuple(high) for name, (_, _, high) in shapes.items()},
    )
