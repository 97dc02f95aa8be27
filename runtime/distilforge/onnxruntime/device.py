"""ONNX graphs through ONNX Runtime on an NVIDIA GPU: one backend a provider, the difference as data."""

import contextlib
import ctypes
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from distilforge import machine, user_cache
from distilforge.cuda.driver import Driver, survey
from distilforge.errors import ReleaseError, UnavailableError
from distilforge.manifest import Manifest, Span, Variant
from distilforge.onnxruntime import engine as onnxruntime_engine
from distilforge.onnxruntime import placement
from distilforge.onnxruntime.engine import CPU, OnnxRuntimeEngine
from distilforge.onnxruntime.settings import Settings
from distilforge.release import read_manifest
from distilforge.tensorrt import obstacles
from distilforge.tensorrt.flavours import Flavour

if TYPE_CHECKING:
    import onnxruntime

_GPU_PACKAGE = "onnxruntime-gpu"
_INSTALL = "pip uninstall -y onnxruntime; pip install --force-reinstall 'onnxruntime-gpu[cuda,cudnn]'"
_plugins = Lock()
_logger = logging.getLogger("distilforge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A package beside onnxruntime that brings a provider, and the library of its compiler.

    library: how the name of that library's file begins, before its version; "" where the package has none.
    """

    module: str
    install: str
    library: str = ""

    def brings(self) -> str | None:
        """The version of the library in the package, None where none is seen."""
        spec = find_spec(self.module)
        if not self.library or spec is None or spec.origin is None:
            return None
        names = (path.name for path in Path(spec.origin).parent.glob(f"{self.library}*"))
        # Links beside the file have less of its version
        return max((name.removeprefix(self.library) for name in names), key=len, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntimeDevice:
    """Runs where ONNX Runtime has `provider`, by itself or from a plugin, and a device.

    library: of the provider, in onnxruntime's package, None where it has none there. compiler: whose engines it runs,
    None where it runs none. kernels: its options that take a folder in which it keeps what it compiles for any
    variant. What follows is for graphs, which it compiles where they run, and not for engines. options: the
    provider's own, which a variant's settings override. profiles: the names of its options for the smallest, the
    usual and the largest shapes. kept: its options that take a folder in which it keeps what it compiled.
    """

    provider: str
    preference: int
    plugin: Plugin | None = None
    library: str | None = None
    compiler: Flavour | None = None
    kernels: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, str, str] | None = None
    kept: tuple[str, ...] = ()

    def obstacle(self, variant: Variant, ask: Callable[[], Driver | str] = survey) -> str | None:
        driver = ask()
        if variant.compiled is not None:
            lacking = obstacles.lacking_device(driver, obstacles.compiled(variant))
            if lacking is not None:
                return lacking
        if isinstance(driver, str):
            return f"it needs an NVIDIA GPU, and {driver}"
        if not find_spec("onnxruntime"):
            return f"onnxruntime is not installed; {_INSTALL}"
        if self.plugin is not None and find_spec(self.plugin.module):
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
        elif self.plugin is not None and find_spec(self.plugin.module):
            _register(self.plugin, self.provider)

    def load(
        self, variant: Variant, folder: Path, *, providers: Sequence[str] | None, threads: int | None
    ) -> OnnxRuntimeEngine:
        """As Backend has it; naming the CPU's provider, too, allows it for what the device does not take."""
        import onnxruntime

        self.prepare()
        asked = (self.provider,) if providers is None else tuple(providers)
        built_in = onnxruntime.get_available_providers()
        devices = [] if self.provider in built_in else _devices(self.provider)
        onnxruntime_engine.check_available(asked, [*built_in, *({self.provider} if devices else ())])
        settings = Settings.of(variant)
        options = onnxruntime_engine.new_options(threads)
        besides = settings.apply(options)
        allowed = settings.cpu_fallback or CPU in asked
        if not allowed:
            placement.watch(options)
        own = {**self._own_options(variant, folder), **settings.provider_options}
        listed: list[onnxruntime_engine.Provider] | None = [
            (name, own) if name == self.provider else name for name in asked
        ]
        if devices and self.provider in asked:
            options.add_provider_for_devices(devices, own)
            listed = None
        try:
            # By default ONNX Runtime tries again on the CPU, and says so on the standard output alone.
            session = onnxruntime_engine.new_session(
                variant, folder, options, listed, enable_fallback=0, **besides
            )
        except ReleaseError as error:
            _explain(error, self.provider, variant)
            raise
        said = _preload() if self.provider in built_in else ""
        engine = onnxruntime_engine.engine_of(session, asked, guarded=True, said=said)
        if not allowed:
            placement.check(session, folder / variant.files[0], self.provider)
        return engine

    def _absent(self, found: str) -> str:
        """Why the provider is not there, and what to install."""
        if self.plugin is not None:
            return f"onnxruntime {found} has no {self.provider}; {self.plugin.install}"
        try:
            gpu = version(_GPU_PACKAGE)
        except PackageNotFoundError:
            return f"onnxruntime {found} has no {self.provider}; {_INSTALL}"
        return (
            f"onnxruntime {found} has no {self.provider}: {_GPU_PACKAGE} {gpu} is installed, too, and both write the "
            f"same files; {_INSTALL}"
        )

    def _lacking_library(self) -> str | None:
        """The library that the provider misses: ONNX Runtime lists providers whose libraries nobody installed."""
        import onnxruntime

        path = Path(onnxruntime.__file__).parent / "capi" / f"lib{self.library}.so"
        if self.library is None or not path.is_file():
            return None
        _preload()
        try:
            ctypes.CDLL(str(path))
        except OSError as cause:
            # Other failures may be this way of loading alone.
            if "cannot open shared object file" in str(cause):
                return (
                    f"{self.provider} misses a library: {cause}; pip install 'onnxruntime-gpu[cuda,cudnn]' "
                    "brings CUDA's, pip install tensorrt TensorRT's, which then must be on LD_LIBRARY_PATH"
                )
        return None

    def _other_version(self, variant: Variant) -> str | None:
        """Why the provider's compiler does not run the variant's engine: engines run with one version alone."""
        if variant.compiled is None or self.compiler is None:
            return None
        made = variant.compiled
        if self.plugin is None:
            return obstacles.other_version(self.compiler, made)
        found = self.plugin.brings()
        if found is None or not made.version:
            return None
        has, built = obstacles.numbers(found), obstacles.numbers(made.version)
        shared = min(len(has), len(built))
        if has[:shared] == built[:shared]:
            return None
        return (
            f"it was built by {made.flavour} {made.version} and runs with that version alone, and "
            f"{self.plugin.module} brings {found}; install the one that brings {made.version}, or build the release "
            f"with {found}"
        )

    def _own_options(self, variant: Variant, folder: Path) -> dict[str, str]:
        graph = variant.compiled is None
        own = dict(self.options) if graph else {}
        for name in (*self.kernels, *(self.kept if graph else ())):
            kept = user_cache.folder("onnxruntime")
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)  # code is loaded from here
            own[name] = str(kept)
        if graph and self.profiles is not None:
            own |= zip_shapes(self.profiles, read_manifest(folder))
        return own


def _explain(error: ReleaseError, provider: str, variant: Variant) -> None:
    """Raise UnavailableError where what failed to load is the provider, not the graph."""
    cause = error.__cause__
    if isinstance(cause, RuntimeError):  # ONNX Runtime has classes of its own for what is wrong with graphs
        raise UnavailableError(f"{provider} does not start: {cause}", hint="install what it names") from error
    if placement.refused(cause):
        raise UnavailableError(
            f"some nodes would run on the CPU, for {provider} does not take them: {cause}",
            hint="pip install --upgrade onnxruntime-gpu, which says which nodes; or open another variant",
        ) from error
    if variant.compiled is not None:
        raise UnavailableError(
            f"ONNX Runtime cannot hand the engine of {variant.name!r} to {provider}: {cause}",
            hint=f"it was built by {obstacles.built(variant.compiled)}; build the release with what this machine has, "
            "or open another variant",
        ) from error


def zip_shapes(names: tuple[str, str, str], manifest: Manifest) -> dict[str, str]:
    """Each option's shapes of all inputs, as ONNX Runtime reads them: "input_ids:1x8,attention_mask:1x8".

    Without them such a provider compiles again whenever a batch is larger than all before.
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
    """Load CUDA's libraries from the packages that brought them; what failed of that, as a clause.

    The system's own serve where there are no such packages.
    """
    import onnxruntime

    if not hasattr(onnxruntime, "preload_dlls"):
        return ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(
        printed
    ):  # what it cannot load it prints there, which is the application's
        onnxruntime.preload_dlls()
    said = "; ".join(line for line in printed.getvalue().splitlines() if line.strip("\x1b[m "))
    if said:
        _logger.info("onnxruntime: %s", said)
    return said


def _register(plugin: Plugin, provider: str) -> None:
    """Have ONNX Runtime load the plugin; UnavailableError where it does not."""
    import onnxruntime

    with _plugins:
        if _devices(provider):
            return
        try:
            # Any: the package need not be installed
            module: Any = import_module(plugin.module)
            onnxruntime.register_execution_provider_library(provider, module.get_library_path())
        except Exception as cause:
            raise UnavailableError(f"{plugin.module} does not load: {cause}", hint=plugin.install) from cause
        if not _devices(provider):
            raise UnavailableError(
                f"{plugin.module} finds no device that it can use",
                hint="it wants an RTX GPU, Ampere or later, and a driver for CUDA 13",
            )


def _devices(provider: str) -> "list[onnxruntime.OrtEpDevice]":
    import onnxruntime

    if not hasattr(onnxruntime, "get_ep_devices"):
        return []
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == provider]
