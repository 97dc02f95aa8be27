"""A package that brings a provider of ONNX Runtime, which has to be registered before it can be used."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from distilforge.errors import UnavailableError

if TYPE_CHECKING:
    import onnxruntime

_registering = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A package beside onnxruntime that brings a provider."""

    module: str
    """The package's module."""
    install: str
    """How to install the package."""
    device: str
    """What the provider needs of a machine."""
    library: str = ""
    """How the file name of the engines' runtime in the package begins, before its version; "" if there is none."""

    @property
    def is_installed(self) -> bool:
        """Whether the package is installed."""
        return find_spec(self.module) is not None

    def library_version(self) -> str | None:
        """The version of the engines' runtime in the package; None where it cannot be told."""
        spec = find_spec(self.module)
        if not self.library or spec is None or spec.origin is None:
            return None
        names = (path.name for path in Path(spec.origin).parent.glob(f"{self.library}*"))
        # The links to the file have shorter versions
        return max((name.removeprefix(self.library) for name in names), key=len, default=None)

    def register(self, provider: str) -> None:
        """Make ONNX Runtime load the plugin's `provider`; UnavailableError where it fails or finds no device."""
        import onnxruntime

        with _registering:
            if devices_of(provider):
                return
            try:
                # Any: the package may not be installed
                module: Any = import_module(self.module)
                onnxruntime.register_execution_provider_library(provider, module.get_library_path())
            except Exception as cause:
                raise UnavailableError(f"{self.module} does not load: {cause}", hint=self.install) from cause
            if not devices_of(provider):
                raise UnavailableError(
                    f"{self.module} finds no device that it can use; it needs {self.device}",
                    hint="open another variant",
                )


def devices_of(provider: str) -> "list[onnxruntime.OrtEpDevice]":
    """The devices that `provider` offers to ONNX Runtime; none for a provider that no plugin registered."""
    import onnxruntime

    if not hasattr(onnxruntime, "get_ep_devices"):
        return []
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == provider]
