"""The backend of one runtime of engines."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilforge.cuda.capabilities import described
from distilforge.cuda.captures import captures
from distilforge.cuda.device_names import having, named, names_device, one_of
from distilforge.cuda.driver import Device, survey
from distilforge.cuda.runtime import CudaPython
from distilforge.errors import EngineError, ReleaseError, UnavailableError
from distilforge.manifest import Manifest, Variant
from distilforge.tensorrt.engine_runtime import EngineRuntime
from distilforge.tensorrt.obstacles import compiled, obstacle, suitable
from distilforge.tensorrt.settings import EngineSettings

if TYPE_CHECKING:
    from distilforge.tensorrt.engine import TensorRTEngine

_logger = logging.getLogger("distilforge")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRT:
    """Runs engines on the device that `providers` names, as "cuda:1", or on the first that they were built for."""

    runtime: EngineRuntime
    """What loads the engines."""
    preference: int
    """See distilforge.backends.Backend."""

    def check_settings(self, variant: Variant) -> None:
        EngineSettings.of(variant)

    def obstacle(self, variant: Variant) -> str | None:
        return obstacle(variant, self.runtime)

    def prepare(self) -> None:
        self._toolkit()
        CudaPython()

    def load(
        self,
        variant: Variant,
        folder: Path,
        *,
        manifest: Manifest | None,
        providers: Sequence[str] | None,
        threads: int | None,
    ) -> "TensorRTEngine":
        """See distilforge.backends.Backend; `threads` is ignored, since a device computes."""
        settings = EngineSettings.of(variant)
        *others, last = _devices(variant, providers)
        toolkit, cuda = self._toolkit(), CudaPython()
        for device in others:
            try:
                return self._start(toolkit, cuda, variant, folder, device, settings)
            except UnavailableError as error:
                _logger.warning("%s; the next device is tried", error.message)
        return self._start(toolkit, cuda, variant, folder, last, settings)

    def _start(
        self,
        toolkit: Any,
        cuda: CudaPython,
        variant: Variant,
        folder: Path,
        device: Device,
        settings: EngineSettings,
    ) -> "TensorRTEngine":
        """The engine on `device`; UnavailableError where it does not start there."""
        # Only once an engine runs: a release may have engines and run on the CPU
        from distilforge.tensorrt.engine import TensorRTEngine
        from distilforge.tensorrt.loading import load_engine

        try:
            with captures.opening(), cuda.on(device.index):
                loaded, kernels = load_engine(toolkit, self.runtime, variant, folder, device, settings)
                engine = TensorRTEngine(loaded, cuda, device, settings, kernels)
                engine.prepare()
        except (UnavailableError, ReleaseError):
            raise
        # The toolkit is another's code, and what it raises must not keep `open` from the next variant
        except Exception as cause:
            reason = cause.message if isinstance(cause, EngineError) else f"{type(cause).__name__}: {cause}"
            raise UnavailableError(
                f"{having([device])} does not run {variant.name!r}: {reason}",
                hint="`nvidia-smi` shows whether the device works and how much of its memory is free",
            ) from cause
        _logger.info("%s runs on %s with %s", variant.name, having([device]), loaded.name)
        return engine

    # Any: the package may not be installed, and has no types
    def _toolkit(self) -> Any:
        try:
            return import_module(self.runtime.module)
        except (ImportError, OSError) as cause:
            raise UnavailableError(
                f"{self.runtime.module} does not import: {cause}", hint=self.runtime.install
            ) from cause


def _devices(variant: Variant, providers: Sequence[str] | None) -> Sequence[Device]:
    """The devices that the variant may run on, the first choice first; at least one, or UnavailableError."""
    capabilities = compiled(variant).capabilities
    driver = survey()
    if isinstance(driver, str):
        raise UnavailableError(
            f"the variant {variant.name!r} needs an NVIDIA GPU, and {driver}",
            hint="open a variant for the CPU, or use a machine with a GPU",
        )
    fitting = suitable(driver.devices, compiled(variant))
    if providers is None:
        if not fitting:
            raise UnavailableError(
                f"the variant {variant.name!r} is for compute capability {described(capabilities)}, "
                f"and this machine has {having(driver.devices)}",
                hint="build the release for this machine",
            )
        return fitting
    if len(providers) != 1 or not names_device(providers[0]):
        raise UnavailableError(
            f"an engine runs on one device, and cannot use the providers {', '.join(providers)}",
            hint=one_of(driver.devices),
        )
    chosen = named(providers[0], driver.devices)
    if chosen not in fitting:
        raise UnavailableError(
            f"the variant {variant.name!r} is for compute capability {described(capabilities)}, "
            f"and {providers[0]} is {having([chosen])}",
            hint=one_of(fitting),
        )
    return (chosen,)
