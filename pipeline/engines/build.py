"""Builds one engine: checks the options, runs the compiler in a process of its own, and reads the outcome."""

import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from distilforge.cuda import capabilities, driver
from distilforge.manifest import CompiledEngine, Span
from distilforge.timing.environment import child_environment

from pipeline.engines import log
from pipeline.engines.compiler import LOWEST_CAPABILITIES, EngineCompiler
from pipeline.engines.job import PROGRESS, Job, Outcome
from pipeline.engines.options import NO_COMPATIBILITY, EngineOptions
from pipeline.engines.profiles import TEXTS, TOKENS, inside, profiles, with_kept_tokens
from pipeline.errors import MissingError, OptionError, StageError, UsageError
from pipeline.store.versions import installed

STAGE = "engine"
# Parts of TensorRT's and TensorRT-RTX's messages if no kernel fits into the workspace
_WORKSPACE = ("OutOfMemory", "workspace", "insufficient memory", "any implementation for node")
_KILLED = signal.SIGKILL.name
Progress = Callable[[str], None]
Watch = Callable[[subprocess.Popen[str]], None]

_POLYGRAPHY = "polygraphy"
# A path on the build machine says nothing about an engine
_NOT_RECORDED = ("timing_cache",)
_DRIVER_NEEDED = "install NVIDIA's driver, or build on a machine that has a device"


def check(compiler: EngineCompiler, options: EngineOptions, spans: Mapping[str, Span]) -> None:
    """Check, before any work, that `compiler` can build engines here with `options`.

    Raises UsageError for options that `compiler` does not support or `spans` do not allow, and MissingError where the
    compiler's package, or a driver that the options need, is not installed.
    """
    runner = compiler.provider or compiler.name
    for name, value in options.changed.items():
        if name in compiler.refused:
            raise OptionError(
                f"{runner} does not support {{{name}}}, found {{value}}: {{why}}",
                hint=f"leave {{{name}}} out for the target {compiler.target}",
                value=value,
                why=compiler.refused[name],
            )
    for capability in options.capabilities:
        if capability not in compiler.capabilities:
            verb = "run on" if compiler.provider else "compile for"
            precision = f" in {compiler.precision}" if compiler.precision else ""
            raise UsageError(
                f"{runner} cannot {verb} compute capability {capability}{precision}",
                hint=f"name some of {', '.join(compiler.capabilities)}",
            )
    if options.weights_stripped and compiler.capabilities and len(options.capabilities) != 1:
        named = ", ".join(options.capabilities) or "none"
        raise OptionError(
            f"{compiler.name} strips the weights of an engine for one compute capability, found {named}",
            hint="name one with {capabilities}, such as 8.6",
        )
    _profiles(compiler, options, spans)
    for package in (compiler.package, _POLYGRAPHY):
        if installed(package) is None:
            raise MissingError(
                f"the target {compiler.target} needs the package {package}, which is not installed",
                hint=f"pip install {compiler.install}",
            )
    _check_compatibility(compiler, options)
    if compiler.needs_device or options.weights_stripped:
        surveyed = driver.survey()
        if isinstance(surveyed, str):
            what = f"{compiler.name} builds" if compiler.needs_device else "weights_stripped is built"
            raise MissingError(
                f"{what} only on a machine with a device: {surveyed}",
                hint=_DRIVER_NEEDED
                if compiler.needs_device
                else f"{_DRIVER_NEEDED}; or leave weights_stripped out",
            )
        if compiler.needs_device:
            check_device(compiler, surveyed.devices[0])


def _profiles(
    compiler: EngineCompiler, options: EngineOptions, spans: Mapping[str, Span]
) -> tuple[Mapping[str, Span], ...]:
    """The profiles of an engine: those of the options, or the compiler's own within `spans`."""
    return profiles(
        spans,
        options.buckets or inside(spans[TOKENS], compiler.default_buckets),
        options.batches or inside(spans[TEXTS], compiler.default_batches),
    )


def _check_compatibility(compiler: EngineCompiler, options: EngineOptions) -> None:
    """UsageError where the engine would be for compute capabilities that do not have its precision."""
    if compiler.precision and options.hardware_compatibility == "ampere_plus":
        raise UsageError(
            f"{compiler.precision} needs compute capability {_least(compiler)} or later, and hardware_compatibility is "
            "'ampere_plus', which is 8.0 and later",
            hint="leave hardware_compatibility out, or build another precision",
        )


def check_device(compiler: EngineCompiler, device: driver.Device) -> None:
    """MissingError where `device`, on which the engine is to be built, does not have its precision."""
    if compiler.precision and device.capability < LOWEST_CAPABILITIES[compiler.precision]:
        raise MissingError(
            f"{compiler.precision} needs compute capability {_least(compiler)} or later; {device.name} has "
            f"{capabilities.text(device.capability)}",
            hint="build on another device, or another precision, such as int8",
        )


def _least(compiler: EngineCompiler) -> str:
    return capabilities.text(LOWEST_CAPABILITIES[compiler.precision])


def build(
    graph: Path,
    compiler: EngineCompiler,
    options: EngineOptions,
    spans: Mapping[str, Span],
    output: Path,
    *,
    progress: Progress,
    watch: Watch = lambda process: None,
) -> CompiledEngine:
    """Compile the ONNX file `graph` to a serialized engine, the file `output`, and return its manifest entry.

    `watch` is called with the compiler's process when it has started, and may kill it. Raises what `check` raises,
    StageError with TensorRT's last messages and the ONNX node that they name, and OSError where a file cannot be
    written.
    """
    check(compiler, options, spans)
    output.parent.mkdir(parents=True, exist_ok=True)
    ranges = _profiles(compiler, options, spans)
    job = Job(
        compiler=compiler.name,
        module=compiler.module,
        is_rtx=compiler.is_rtx,
        graph=str(graph),
        output=str(output),
        profiles=tuple(
            {axis: (span.low, span.usual, span.high) for axis, span in with_kept_tokens(profile).items()}
            for profile in ranges
        ),
        options=options,
    )
    complete = False
    try:
        outcome = _run(job, progress, watch)
        if outcome.failure:
            _fail(compiler, job, outcome)
        complete = True
    finally:
        if not complete:
            output.unlink(missing_ok=True)
    assert outcome.precisions is not None
    return CompiledEngine(
        flavour=compiler.name,
        version=outcome.version,
        capabilities=_capabilities(compiler, options),
        profiles=ranges,
        precisions=outcome.precisions,
        bytes=output.stat().st_size,
        activation_bytes=outcome.activation_bytes,
        build_seconds=outcome.build_seconds,
        options={name: value for name, value in options.changed.items() if name not in _NOT_RECORDED},
        warnings=outcome.warnings,
    )


def _run(job: Job, progress: Progress, watch: Watch) -> Outcome:
    """Run `job` in a worker and return its outcome; the worker is killed when this call is interrupted."""
    # The folder lies beside the engine, so that the next build removes the files of one that was killed
    with tempfile.TemporaryDirectory(prefix=".job-", dir=Path(job.output).parent) as folder:
        job_file, outcome_file = Path(folder) / "job.json", Path(folder) / "outcome.json"
        job.write(job_file)
        command = [
            sys.executable,
            "-m",
            "pipeline.engines.worker",
            str(job_file),
            str(outcome_file),
            str(os.getpid()),
        ]
        worker = subprocess.Popen(  # noqa: S603
            command,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        printed: deque[str] = deque(maxlen=log.LAST)
        try:
            watch(worker)
            assert worker.stdout is not None
            for line in worker.stdout:
                if line.startswith(PROGRESS):
                    progress(line.removeprefix(PROGRESS).rstrip())
                else:
                    printed.append(line.rstrip())
            code = worker.wait()
        finally:
            worker.kill()
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()
        if not outcome_file.is_file():
            return Outcome(failure=f"its process {_ending(code)}", errors=tuple(printed))
        return Outcome.read(outcome_file)


def _fail(compiler: EngineCompiler, job: Job, outcome: Outcome) -> NoReturn:
    if outcome.errno is not None:
        raise OSError(outcome.errno, outcome.failure)
    messages = [text for text in outcome.errors if text != outcome.failure][-log.LAST :]
    last = f"; {compiler.name}'s last messages: {' | '.join(messages)}" if messages else ""
    errors = (outcome.failure, *outcome.errors)
    limit = f" in {job.options.workspace_mb} MB of workspace" if _lacks_workspace(job, errors) else ""
    raise StageError(
        STAGE,
        f"{compiler.name} could not compile {Path(job.graph).name} to {Path(job.output).name}{limit}{_place(outcome)}: "
        f"{outcome.failure}{last}",
        hint=_hint(compiler, job, errors),
    )


def _lacks_workspace(job: Job, messages: Sequence[str]) -> bool:
    """Whether `messages` say that the compiler found no kernel within the job's limit of the workspace."""
    return job.options.workspace_mb is not None and any(
        part.lower() in text.lower() for text in messages for part in _WORKSPACE
    )


def _hint(compiler: EngineCompiler, job: Job, messages: Sequence[str]) -> str:
    if _lacks_workspace(job, messages):
        return f"workspace_mb is {job.options.workspace_mb}: set a larger one in [engine], or leave it out"
    if any(_KILLED in text for text in messages):
        return "the system kills processes when memory runs out: free some, or build fewer variants at once"
    return f"`distilforge check MODEL --for {compiler.target}` shows what the parser refuses"


def _place(outcome: Outcome) -> str:
    if not outcome.node:
        return ""
    module, _, _ = outcome.node.rpartition("/")
    operator = f" ({outcome.operator})" if outcome.operator else ""
    return f", at the node {outcome.node}{operator}" + (f" of the module {module}" if module else "")


def _capabilities(compiler: EngineCompiler, options: EngineOptions) -> tuple[str, ...]:
    if options.capabilities:
        return options.capabilities
    if not compiler.needs_device:
        return compiler.default_capabilities
    if options.hardware_compatibility not in (NO_COMPATIBILITY, "same_compute_capability"):
        return ("8.0+",)
    surveyed = driver.survey()
    assert not isinstance(surveyed, str), "check() refuses a build without a device"
    return (capabilities.text(surveyed.devices[0].capability),)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by the signal {signal.Signals(-code).name}"
    return f"ended with exit code {code} and without a result"
