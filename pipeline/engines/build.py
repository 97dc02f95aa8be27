"""Build one engine: refuse at once what cannot be, run the compiler in a process of its own, read how it went."""

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

from pipeline.engines import log
from pipeline.engines.flavours import LEAST, Flavour
from pipeline.engines.job import PROGRESS, Job, Outcome
from pipeline.engines.options import NO_COMPATIBILITY, EngineOptions
from pipeline.engines.profiles import profiles
from pipeline.errors import MissingError, StageError, UsageError
from pipeline.store.versions import installed

STAGE = "engine"
_NO_ROOM = "OutOfMemory"
_KILLED = signal.SIGKILL.name
Progress = Callable[[str], None]
Watch = Callable[[subprocess.Popen[str]], None]

_POLYGRAPHY = "polygraphy"
# Of the build machine's folders, which say nothing about an engine
_NOT_RECORDED = ("timing_cache",)
_ROOT = Path(__file__).parents[2]
_DRIVER_NEEDED = "install NVIDIA's driver, or build on a machine that has a device"


def check(flavour: Flavour, options: EngineOptions, spans: Mapping[str, Span]) -> None:
    """Refuse what can be refused before any work.

    Raises UsageError for options that `flavour` has not or `spans` do not allow, MissingError where the toolkit, or
    the driver that the options need, is absent.
    """
    runner = flavour.provider or flavour.name
    for name, value in options.changed.items():
        if name in flavour.refused:
            raise UsageError(
                f"{runner} has no {name}, found {value}: {flavour.refused[name]}",
                hint=f"leave {name} out of [engine] for the target {flavour.target}",
            )
    for capability in options.capabilities:
        if capability not in flavour.capabilities:
            verb = "run on" if flavour.provider else "compile for"
            precision = f" in {flavour.precision}" if flavour.precision else ""
            raise UsageError(
                f"{runner} cannot {verb} compute capability {capability}{precision}",
                hint=f"name some of {', '.join(flavour.capabilities)}",
            )
    if options.weights_stripped and flavour.capabilities and len(options.capabilities) != 1:
        found = ", ".join(options.capabilities) or "none"
        raise UsageError(
            f"{flavour.name} strips the weights of an engine for one compute capability, found {found}",
            hint='name one: capabilities = ["8.6"]',
        )
    profiles(spans, options.buckets)
    for package in (flavour.package, _POLYGRAPHY):
        if installed(package) is None:
            raise MissingError(
                f"the target {flavour.target} needs the package {package}, which is not installed",
                hint=f"pip install {flavour.extra}",
            )
    _check_compatibility(flavour, options)
    if flavour.needs_device or options.weights_stripped:
        driver_found = driver.survey()
        if isinstance(driver_found, str):
            what = f"{flavour.name} builds" if flavour.needs_device else "weights_stripped is built"
            raise MissingError(
                f"{what} only where a device is: {driver_found}",
                hint=_DRIVER_NEEDED
                if flavour.needs_device
                else f"{_DRIVER_NEEDED}; or leave weights_stripped out",
            )
        if flavour.needs_device:
            check_device(flavour, driver_found.devices[0])


def _check_compatibility(flavour: Flavour, options: EngineOptions) -> None:
    """UsageError where an engine would be for compute capabilities that lack its precision."""
    if flavour.precision and options.hardware_compatibility == "ampere_plus":
        raise UsageError(
            f"{flavour.precision} needs compute capability {_least(flavour)} or later, and hardware_compatibility is "
            "'ampere_plus', which is 8.0 and later",
            hint="leave hardware_compatibility out, or build another precision",
        )


def check_device(flavour: Flavour, device: driver.Device) -> None:
    """MissingError where the device that an engine is built on lacks its precision."""
    if flavour.precision and device.capability < LEAST[flavour.precision]:
        raise MissingError(
            f"{flavour.precision} needs compute capability {_least(flavour)} or later; {device.name} has "
            f"{capabilities.text(device.capability)}",
            hint="build on another device, or another precision, such as int8",
        )


def _least(flavour: Flavour) -> str:
    return capabilities.text(LEAST[flavour.precision])


def build(
    graph: Path,
    flavour: Flavour,
    options: EngineOptions,
    spans: Mapping[str, Span],
    output: Path,
    *,
    progress: Progress,
    watch: Watch = lambda process: None,
) -> CompiledEngine:
    """Compile the ONNX file `graph` into the file `output`, a plain serialized engine; what the manifest says of it.

    `watch` is given the compiler's process as soon as it runs, and may kill it. Raises what `check` raises, StageError
    with TensorRT's own last messages and the ONNX node that they name, and OSError where a file cannot be written.
    """
    check(flavour, options, spans)
    output.parent.mkdir(parents=True, exist_ok=True)
    ranges = profiles(spans, options.buckets)
    job = Job(
        target=flavour.target,
        graph=str(graph),
        output=str(output),
        profiles=tuple(
            {axis: (span.low, span.usual, span.high) for axis, span in profile.items()} for profile in ranges
        ),
        capabilities=options.capabilities,
        tf32=options.tf32,
        optimization_level=options.optimization_level,
        workspace_bytes=None if options.workspace_mb is None else options.workspace_mb * 10**6,
        hardware_compatibility=options.hardware_compatibility,
        version_compatible=options.version_compatible,
        weights_stripped=options.weights_stripped,
        detailed=options.detailed,
        timing_cache=str(options.timing_cache or ""),
    )
    written = False
    try:
        outcome = _run(job, progress, watch)
        if outcome.failure:
            _fail(flavour, job, outcome)
        written = True
    finally:
        if not written:
            output.unlink(missing_ok=True)
    assert outcome.precisions is not None
    return CompiledEngine(
        flavour=flavour.name,
        version=outcome.version,
        capabilities=_capabilities(flavour, options),
        profiles=ranges,
        precisions=outcome.precisions,
        bytes=output.stat().st_size,
        activation_bytes=outcome.activation_bytes,
        build_seconds=outcome.build_seconds,
        options={name: value for name, value in options.changed.items() if name not in _NOT_RECORDED},
        warnings=outcome.warnings,
    )


def _run(job: Job, progress: Progress, watch: Watch) -> Outcome:
    """The worker's outcome; it is killed where this is interrupted."""
    # Beside the engine, where the next build finds and removes what a killed one left
    with tempfile.TemporaryDirectory(prefix=".job-", dir=Path(job.output).parent) as folder:
        told, answered = Path(folder) / "job.json", Path(folder) / "outcome.json"
        job.write(told)
        # -P: a folder called pipeline where the user stands must not be taken for ours
        command = [
            sys.executable,
            "-P",
            "-m",
            "pipeline.engines.worker",
            str(told),
            str(answered),
            str(os.getpid()),
        ]
        worker = subprocess.Popen(  # noqa: S603
            command,
            env={**os.environ, "PYTHONPATH": _with(str(_ROOT), os.environ.get("PYTHONPATH"))},
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
        if not answered.is_file():
            return Outcome(failure=f"its process {_ended(code)}", errors=tuple(printed))
        return Outcome.read(answered)


def _fail(flavour: Flavour, job: Job, outcome: Outcome) -> NoReturn:
    if outcome.errno is not None:
        raise OSError(outcome.errno, outcome.failure)
    said = [text for text in outcome.errors if text != outcome.failure][-log.LAST :]
    last = f"; {flavour.name}'s last messages: {' | '.join(said)}" if said else ""
    raise StageError(
        STAGE,
        f"{flavour.name} made no {Path(job.output).name} of {Path(job.graph).name}{_place(outcome)}: "
        f"{outcome.failure}{last}",
        hint=_hint(flavour, job, (outcome.failure, *outcome.errors)),
    )


def _hint(flavour: Flavour, job: Job, said: Sequence[str]) -> str:
    if job.workspace_bytes is not None and any(_NO_ROOM in text for text in said):
        return f"workspace_mb is {job.workspace_bytes // 10**6}: give more, or leave it out"
    if any(_KILLED in text for text in said):
        return "the system ends processes when memory runs out: free some, or build fewer variants at once"
    return f"`distilforge check MODEL --for {flavour.target}` says what the parser refuses"


def _place(outcome: Outcome) -> str:
    if not outcome.node:
        return ""
    module, _, _ = outcome.node.rpartition("/")
    operator = f" ({outcome.operator})" if outcome.operator else ""
    return f", at the node {outcome.node}{operator}" + (f" of the module {module}" if module else "")


def _capabilities(flavour: Flavour, options: EngineOptions) -> tuple[str, ...]:
    if options.capabilities:
        return options.capabilities
    if not flavour.needs_device:
        return flavour.unnamed
    if options.hardware_compatibility not in (NO_COMPATIBILITY, "same_compute_capability"):
        return ("8.0+",)
    driver_found = driver.survey()
    assert not isinstance(driver_found, str), "check() lets no build begin without a device"
    return (capabilities.text(driver_found.devices[0].capability),)


def _with(folder: str, path: str | None) -> str:
    return f"{folder}{os.pathsep}{path}" if path else folder


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by the signal {signal.Signals(-code).name}"
    return f"ended with exit code {code} and no result"
