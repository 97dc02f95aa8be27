"""The process that compiles one engine: `python -m pipeline.engines.worker JOB.json OUTCOME.json BUILD_PID`.

It is a process of its own because Polygraphy chooses between TensorRT and TensorRT-RTX once, when it is imported, and
because a crash of the compiler must not end the build.
"""

import ctypes
import importlib
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.engines import log
from pipeline.engines.job import PROGRESS, Job, Outcome
from pipeline.engines.log import Message
from pipeline.engines.options import NO_COMPATIBILITY

# <sys/prctl.h>
_PR_SET_PDEATHSIG = 1
# Layers of a network that do not compute
_PASSIVE = ("CONSTANT", "SHAPE")
DECOMPOSED = (
    "attention without a dedicated kernel was compiled as separate operators, which may cost speed and memory"
)


class _FailedError(Exception):
    """The compiler did not write an engine, with the reason and the ONNX node that it is about."""

    def __init__(self, failure: str, node: str = "", operator: str = "") -> None:
        super().__init__(failure)
        self.failure = failure
        self.node = node
        self.operator = operator


def main(job_path: Path, outcome_path: Path, build: int) -> None:
    """Do the job in `job_path` and write its outcome to `outcome_path`, for the process with the id `build`."""
    # Ctrl-C ends this process at once, also in native code; the build removes what was written
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _end_with(build)
    job = Job.read(job_path)
    messages: list[Message] = []
    compile_job(job, messages).write(outcome_path)


def _end_with(build: int) -> None:
    """Ask the system to kill this process when its parent `build` has ended, for whatever reason."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != build:
        # The parent ended before the system was asked
        sys.exit(1)


def compile_job(job: Job, messages: list[Message]) -> Outcome:
    """Compile the engine that `job` describes, and append TensorRT's messages to `messages`."""
    try:
        return _compile(job, messages)
    except OSError as cause:
        return Outcome(failure=str(cause), errno=cause.errno, warnings=log.warnings(messages))
    except _FailedError as cause:
        return Outcome(
            failure=cause.failure,
            node=cause.node,
            operator=cause.operator,
            errors=log.errors(messages),
            warnings=log.warnings(messages),
        )


def _compile(job: Job, messages: list[Message]) -> Outcome:
    tensorrt, logger = _load(job, messages)
    from polygraphy.backend.trt import (
        PostprocessConfig,
        create_network,
        engine_bytes_from_network,
        set_decomposable_attentions,
    )
    from polygraphy.exception import PolygraphyException

    _say(f"{job.compiler} {tensorrt.__version__} reads {Path(job.graph).name}")
    started = time.monotonic()
    builder, network = create_network(
        # A version without this flag has strongly typed networks only
        strongly_typed=hasattr(tensorrt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    )
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(job.graph):
        raise _unparsed(parser)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    precisions = _network_precisions(tensorrt, layers)

    def configure(builder: Any, network: Any, config: Any) -> None:
        # TensorRT allows TF32 by default, and for TensorRT-RTX Polygraphy does not change that
        (config.set_flag if job.options.tf32 else config.clear_flag)(tensorrt.BuilderFlag.TF32)

    _say(f"{job.compiler} compiles {Path(job.output).name}: {network.num_layers} layers")
    build = partial(
        engine_bytes_from_network,
        (builder, network),
        PostprocessConfig(_config(tensorrt, network, job), configure),
        save_timing_cache=str(cache) if (cache := job.options.timing_cache) else None,
    )
    try:
        try:
            engine = build()
        except PolygraphyException:
            if not log.lacks_kernel_for_attention(messages):
                raise
            _say(
                f"{job.compiler} has no dedicated kernel for this attention and compiles it as separate operators"
            )
            set_decomposable_attentions((builder, network))
            messages[:] = [*log.as_warnings(messages), Message(severity="WARNING", text=DECOMPOSED)]
            engine = build()
    except PolygraphyException as cause:
        errors = log.errors(messages)
        node = log.node_in(errors, (layer.name for layer in layers))
        raise _FailedError(errors[-1] if errors else str(cause), node, _operator(layers, node)) from cause
    seconds = time.monotonic() - started
    with Path(job.output).open("wb") as file:
        file.write(engine)
    return Outcome(
        warnings=log.warnings(messages),
        version=tensorrt.__version__,
        precisions=log.layer_precisions(messages) or precisions,
        activation_bytes=log.activation_bytes(messages),
        build_seconds=round(seconds, 3),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _load(job: Job, messages: list[Message]) -> tuple[ModuleType, object]:
    """The compiler's module, and the logger that Polygraphy passes to it, which appends to `messages`."""
    from polygraphy import config

    config.USE_TENSORRT_RTX = job.is_rtx
    from polygraphy.backend.trt import util
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    G_LOGGER.colors = False
    tensorrt = importlib.import_module(job.module)
    base: Any = tensorrt.ILogger

    class Collector(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            messages.append(Message(severity=severity.name, text=text))

    # Polygraphy's own logger drops messages below its severity, and there is no other way to replace it
    logger = Collector()
    util.TRT_LOGGER = logger
    return tensorrt, logger


def _config(tensorrt: ModuleType, network: Any, job: Job) -> Any:
    """Polygraphy's factory of the builder's configuration; options that the compiler refuses have their defaults."""
    verbosity = tensorrt.ProfilingVerbosity
    options, level = job.options, job.options.hardware_compatibility
    common: dict[str, Any] = {
        "profiles": _profiles(network, job),
        "builder_optimization_level": options.optimization_level,
        "strip_plan": options.weights_stripped,
        "version_compatible": options.version_compatible,
        "profiling_verbosity": verbosity.DETAILED if options.detailed else verbosity.LAYER_NAMES_ONLY,
    }
    if options.workspace_mb is not None:
        common["memory_pool_limits"] = {tensorrt.MemoryPoolType.WORKSPACE: options.workspace_mb * 10**6}
    if level != NO_COMPATIBILITY:
        levels = tensorrt.HardwareCompatibilityLevel.__members__
        common["hardware_compatibility_level"] = levels[level.upper()]
    if options.timing_cache is not None and options.timing_cache.is_file():
        common["load_timing_cache"] = str(options.timing_cache)
    if job.is_rtx:
        from polygraphy.backend.tensorrt_rtx import CreateConfigRTX

        capabilities = [tuple(map(int, capability.split("."))) for capability in options.capabilities]
        return CreateConfigRTX(**common, compute_capabilities=capabilities or None)
    from polygraphy.backend.trt import CreateConfig

    return CreateConfig(**common)


def _profiles(network: Any, job: Job) -> list[Any]:
    """The job's profiles for the inputs, whose dynamic axes have the names of the spans."""
    from polygraphy.backend.trt import Profile

    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    profiles = []
    for spans in job.profiles:
        profile = Profile()
        for value in inputs:
            names = [value.get_dimension_name(axis) for axis in range(len(value.shape))]
            sizes = [
                spans[name] if size == -1 else (size, size, size)
                for name, size in zip(names, value.shape, strict=True)
            ]
            profile.add(value.name, *(tuple(size[place] for size in sizes) for place in range(3)))
        profiles.append(profile)
    return profiles


def _network_precisions(tensorrt: ModuleType, layers: Sequence[Any]) -> dict[str, int]:
    """The number of layers of the parsed network by the type of their outputs.

    A matrix product of two dequantized factors computes in the type that they were quantized to.
    """
    quantized: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for layer in layers:
        if layer.type.name in _PASSIVE or not layer.num_outputs:
            continue
        inputs = [layer.get_input(index) for index in range(layer.num_inputs)]
        tensors = [tensor for tensor in (*inputs, layer.get_output(0)) if tensor is not None]
        if layer.type == tensorrt.LayerType.DEQUANTIZE:
            quantized[layer.get_output(0).name] = log.precision(layer.get_input(0).dtype.name)
        sources = {quantized.get(tensor.name, "") for tensor in inputs if tensor is not None}
        if layer.type == tensorrt.LayerType.MATRIX_MULTIPLY and len(sources) == 1 and sources != {""}:
            counts[sources.pop()] += 1
        else:
            counts[log.precision(tensors[-1].dtype.name)] += 1
    return dict(sorted(counts.items()))


def _unparsed(parser: Any) -> _FailedError:
    """The error for the first node that the parser refused."""
    if not parser.num_errors:
        return _FailedError("the file is not an ONNX graph that TensorRT can read")
    error = parser.get_error(0)
    return _FailedError(error.desc(), error.node_name(), error.node_operator())


def _operator(layers: Sequence[Any], node: str) -> str:
    return next((layer.type.name for layer in layers if layer.name == node), "")


def _say(text: str) -> None:
    # Fails with an error when the build has ended, which is wanted: nobody needs the engine then
    print(f"{PROGRESS}{text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
