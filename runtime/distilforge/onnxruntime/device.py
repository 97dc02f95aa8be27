"""ONNX Runtime on an NVIDIA GPU: one backend for all providers, which differ in data."""

import contextlib
import ctypes
import hashlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from distilforge import contents, machine, user_cache
from distilforge.cuda.capabilities import described
from distilforge.cuda.captures import captures
from distilforge.cuda.device_names import having
from distilforge.cuda.driver import Driver, survey
from distilforge.errors import ReleaseError, UnavailableError
from distilforge.manifest import Manifest, Span, Variant
from distilforge.onnxruntime import contexts, cuda_graphs, device_choice, placement
from distilforge.onnxruntime import engine as onnxruntime_engine
from distilforge.onnxruntime.engine import CPU, OnnxRuntimeEngine
from distilforge.onnxruntime.settings import Settings
from distilforge.plugin import Plugin, devices_of
from distilforge.tensorrt import obstacles
from distilforge.tensorrt.engine_runtime import EngineRuntime

# The option of every provider that is CUDA's number of its device; the first without it
_DEVICE_ID = "device_id"
_GPU_PACKAGE = "onnxruntime-gpu"
_INSTALL = "pip uninstall -y onnxruntime; pip install --force-reinstall 'onnxruntime-gpu[cuda,cudnn]'"
_logger = logging.getLogger("distilforge")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntimeDevice:
    """Runs variants with one provider of ONNX Runtime, on a device."""

    provider: str
    """The provider's name."""
    preference: int
    """See distilforge.backends.Backend."""
    plugin: Plugin | None = None
    """The package that brings the provider; None where onnxruntime itself has it."""
    library: str | None = None
    """The provider's library in the package onnxruntime; None where that has none."""
    runtime: EngineRuntime | None = None
    """The runtime whose engines the provider runs; None where it runs ONNX graphs only."""
    kernel_options: tuple[str, ...] = ()
    """The provider's options that name a folder for the kernels that it compiles."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The provider's options for ONNX graphs; a variant's settings override them."""
    profile_options: tuple[str, str, str] | None = None
    """The provider's options for the smallest, the usual and the largest shapes of ONNX graphs."""
    cache_options: tuple[str, ...] = ()
    """The provider's options that name a folder for what it compiles from ONNX graphs; each graph has its own."""
    capabilities: tuple[str, ...] = ()
    """The compute capabilities that the provider supports, as manifests write them; empty for all."""

    def check_settings(self, variant: Variant) -> None:
        Settings.of(variant)

    def obstacle(self, variant: Variant, ask: Callable[[], Driver | str] = survey) -> str | None:
        driver = ask()
        if variant.compiled is not None:
            lacking = obstacles.lacking_device(driver, obstacles.compiled(variant))
            if lacking is not None:
                return lacking
        if isinstance(driver, str):
            return f"it needs an NVIDIA GPU, and {driver}"
        if not device_choice.fitting(driver, self.capabilities, variant):
            return (
                f"{self.provider} needs an NVIDIA GPU of compute capability {described(self.capabilities)}, and this "
                f"machine has {having(driver.devices)}"
            )
        if not find_spec("onnxruntime"):
            return f"onnxruntime is not installed; {_INSTALL}"
        if self.plugin is not None and self.plugin.is_installed:
            return self._other_version(variant) or machine.lacking(variant.needs)
        try:
            onnxruntime_engine.prepare()
        except UnavailableError as error:
            return error.message
        import onnxruntime

        if self.provider not in onnxruntime.get_available_providers():
            return self._absent(onnxruntime.__version__)
        return (
            _old_driver(driver)
            or self._lacking_library()
            or self._other_version(variant)
            or machine.lacking(variant.needs)
        )

    def prepare(self) -> None:
        onnxruntime_engine.prepare()
        import onnxruntime

        if self.provider in onnxruntime.get_available_providers():
            _preload()
        elif self.plugin is not None and self.plugin.is_installed:
            self.plugin.register(self.provider)

    def load(
        self,
        variant: Variant,
        folder: Path,
        *,
        manifest: Manifest | None,
        providers: Sequence[str] | None,
        threads: int | None,
    ) -> OnnxRuntimeEngine:
        """See distilforge.backends.Backend.

        `providers` may name the device, as "cuda:1", in place of the provider. If it names the CPU's provider too,
        that runs the nodes that the device does not support.
        """
        import onnxruntime

        self.prepare()
        asked, device_name = device_choice.asked(self.provider, variant, providers)
        built_in = onnxruntime.get_available_providers()
        devices = [] if self.provider in built_in else devices_of(self.provider)
        onnxruntime_engine.check_available(asked, [*built_in, *({self.provider} if devices else ())])
        settings = Settings.of(variant)
        contexts.check(folder, variant)
        options = onnxruntime_engine.new_options(threads)
        session_arguments = settings.apply(options)
        allowed = settings.cpu_fallback or CPU in asked
        if not allowed:
            placement.watch(options)
        own = {**self._own_options(variant, folder, manifest), **settings.provider_options}
        choices = device_choice.choices(survey(), self.provider, self.capabilities, variant, device_name)
        listed: list[onnxruntime_engine.Provider] | None = [
            (name, own) if name == self.provider else name for name in asked
        ]
        index = choices[0].index if choices else 0
        if devices:
            # The provider takes one device only
            chosen, index = device_choice.listed(devices, choices, device_name)
            options.add_provider_for_devices([chosen], own)
            listed = None
        elif index:
            own[_DEVICE_ID] = str(index)
        try:
            # By default ONNX Runtime tries again on the CPU, and only prints that to the standard output
            with captures.opening():
                session = onnxruntime_engine.new_session(
                    variant, folder, options, listed, enable_fallback=0, **session_arguments
                )
        except ReleaseError as error:
            _explain(error, self.provider, variant)
            raise
        failures = _preload() if self.provider in built_in else ""
        engine = onnxruntime_engine.engine_of(
            cuda_graphs.of(session, own, index), asked, guarded=True, reason=failures
        )
        if not allowed:
            placement.check(session, folder / variant.files[0], self.provider)
        return engine

    def _absent(self, onnxruntime_version: str) -> str:
        """Why onnxruntime does not have the provider, and what to install."""
        if self.plugin is not None:
            return f"onnxruntime {onnxruntime_version} has no {self.provider}; {self.plugin.install}"
        try:
            gpu = version(_GPU_PACKAGE)
        except PackageNotFoundError:
            return f"onnxruntime {onnxruntime_version} has no {self.provider}; {_INSTALL}"
        return (
            f"onnxruntime {onnxruntime_version} has no {self.provider}: {_GPU_PACKAGE} {gpu} is installed too, and "
            f"both write the same files; {_INSTALL}"
        )

    def _lacking_library(self) -> str | None:
        """The library that the provider needs and that is absent, as a clause, or None.

        ONNX Runtime lists providers also where their libraries are not installed.
        """
        import onnxruntime

        path = Path(onnxruntime.__file__).parent / "capi" / f"lib{self.library}.so"
        if self.library is None or not path.is_file():
            return None
        _preload()
        try:
            ctypes.CDLL(str(path))
        except OSError as cause:
            # Other errors may come from this way of loading only
            if "cannot open shared object file" in str(cause):
                return (
                    f"{self.provider} needs a library that is absent: {cause}; pip install "
                    "'onnxruntime-gpu[cuda,cudnn]' brings CUDA's, and pip install tensorrt TensorRT's, which must "
                    "then be on LD_LIBRARY_PATH"
                )
        return None

    def _other_version(self, variant: Variant) -> str | None:
        """Why the installed version does not run the variant's engine, as a clause, or None if it does.

        An engine runs with the version that built it only.
        """
        if variant.compiled is None or self.runtime is None:
            return None
        if self.plugin is None:
            return obstacles.other_version(self.runtime, variant.compiled)
        engine, version = variant.compiled, self.plugin.library_version()
        if version is None or not engine.version:
            return None
        has, built = obstacles.numbers(version), obstacles.numbers(engine.version)
        shared = min(len(has), len(built))
        if has[:shared] == built[:shared]:
            return None
        return (
            f"it was built by {engine.flavour} {engine.version} and runs with that version alone, and "
            f"{self.plugin.module} brings {version}; install the one that brings {engine.version}, or build the "
            f"release with {version}"
        )

    def _own_options(self, variant: Variant, folder: Path, manifest: Manifest | None) -> dict[str, str]:
        is_graph = variant.compiled is None
        own = dict(self.options) if is_graph else {}
        cache_options = self.cache_options if is_graph else ()
        if self.kernel_options or cache_options:
            try:
                own |= self._cached(variant, folder, cache_options)
            except UnavailableError as error:
                # Without a folder, the others write their engines into the current one
                if cache_options:
                    raise
                _logger.warning("what %s compiles is not kept: %s", self.provider, error.message)
        if is_graph and self.profile_options is not None and manifest is not None:
            own |= zip_shapes(self.profile_options, manifest)
        return own

    def _cached(self, variant: Variant, folder: Path, cache_options: Sequence[str]) -> dict[str, str]:
        """The options that name folders in the user's cache; UnavailableError where it cannot be written or trusted."""
        cache_folder = user_cache.folder("onnxruntime")
        _make_private(cache_folder)
        cached = dict.fromkeys(self.kernel_options, str(cache_folder))
        if cache_options:
            # Providers name engines by the graph's names alone: another model's could have the same one
            own_folder = cache_folder / _digest(variant, folder)[:32]
            _make_private(own_folder)
            cached |= dict.fromkeys(cache_options, str(own_folder))
        return cached


def _digest(variant: Variant, folder: Path) -> str:
    """A SHA-256 of the variant's files, which hold its graph and its weights."""
    digests = (contents.sha256(folder / name) for name in variant.files)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _make_private(folder: Path) -> None:
    """Make `folder` in the user's cache, for this user alone, since the kernels in it are code."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as cause:
        raise UnavailableError(
            f"the user's cache cannot be written: {cause}",
            hint="set XDG_CACHE_HOME to a folder that can be written",
        ) from cause


def _explain(error: ReleaseError, provider: str, variant: Variant) -> None:
    """Raise UnavailableError in place of `error` where the graph is not the cause."""
    cause = error.__cause__
    # ONNX Runtime has its own classes for errors in graphs; others mean that the provider does not start
    if isinstance(cause, RuntimeError):
        raise UnavailableError(f"{provider} does not start: {cause}", hint="install what it names") from error
    if placement.refused(cause):
        raise UnavailableError(
            f"some nodes would run on the CPU, because {provider} does not support them: {cause}",
            hint="pip install --upgrade onnxruntime-gpu, since a later one says which nodes; or open another variant",
        ) from error
    if variant.compiled is not None:
        raise UnavailableError(
            f"{provider} does not load the engine of {variant.name!r}: {cause}",
            hint=f"it was built by {obstacles.built(variant.compiled)}; build the release with what this machine has, "
            "or open another variant",
        ) from error


def zip_shapes(names: tuple[str, str, str], manifest: Manifest) -> dict[str, str]:
    """The values of the options `names`: the smallest, the usual and the largest shapes of all inputs.

    A value reads "input_ids:1x8,attention_mask:1x8". Without it, the provider compiles the graph again for each batch
    that is larger than all before.
    """

    def shapes(of: Callable[[Span], int]) -> str:
        return ",".join(
            f"{tensor.name}:"
            + "x".join(
                str(size if isinstance(size, int) else of(manifest.spans[size])) for size in tensor.shape
            )
            for tensor in manifest.inputs
        )

    low, usual, high = names
    return {
        low: shapes(lambda span: span.low),
        usual: shapes(lambda span: span.usual),
        high: shapes(lambda span: span.high),
    }


def _old_driver(driver: Driver) -> str | None:
    """Why the driver is too old for onnxruntime, as a clause, or None if it is not."""
    import onnxruntime

    built_for = str(getattr(onnxruntime, "cuda_version", ""))
    major = built_for.partition(".")[0]
    if not major.isdigit() or driver.version[0] >= int(major):
        return None
    return (
        f"it needs a driver for CUDA {major}.0 or later, which onnxruntime {onnxruntime.__version__} is built for, and "
        f"this machine's driver is for CUDA {driver.version[0]}.{driver.version[1]}; update the driver"
    )


@cache
def _preload() -> str:
    """Load CUDA's libraries from their packages, and return what failed, as a clause.

    Without such packages, the system's libraries are used.
    """
    import onnxruntime

    if not hasattr(onnxruntime, "preload_dlls"):
        return ""
    printed = io.StringIO()
    # It prints what it cannot load to the standard output, which belongs to the application
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    failures = "; ".join(line for line in printed.getvalue().splitlines() if line.strip("\x1b[m "))
    if failures:
        _logger.info("onnxruntime: %s", failures)
    return failures
