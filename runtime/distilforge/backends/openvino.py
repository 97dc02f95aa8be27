"""ONNX graphs in OpenVINO, on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distilforge import machine
from distilforge.backends import backends
from distilforge.errors import UnavailableError
from distilforge.manifest import Manifest, Variant
from distilforge.openvino import package
from distilforge.openvino.engine import OpenVinoEngine
from distilforge.openvino.loading import load_engine
from distilforge.openvino.settings import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVino:
    """Runs ONNX graphs on the CPU."""

    preference: int
    """See distilforge.backends.Backend."""

    def check_settings(self, variant: Variant) -> None:
        settings(variant)

    def obstacle(self, variant: Variant) -> str | None:
        if not package.is_installed():
            return f"openvino is not installed; {package.INSTALL}"
        if not variant.needs:
            return None
        try:
            self.prepare()  # the needs are tested with openvino
        except UnavailableError as error:
            return error.message
        return machine.lacking(variant.needs)

    def prepare(self) -> None:
        package.prepare()

    def load(
        self,
        variant: Variant,
        folder: Path,
        *,
        manifest: Manifest | None,
        providers: Sequence[str] | None,
        threads: int | None,
    ) -> OpenVinoEngine:
        """See distilforge.backends.Backend; variants are validated on the CPU, so there is no other provider."""
        if providers is not None and tuple(providers) != (package.DEVICE,):
            raise UnavailableError(
                f"the variant {variant.name!r} runs on the provider {package.DEVICE!r} of OpenVINO, and cannot use "
                f"{', '.join(providers)}",
                hint=f"pass providers=[{package.DEVICE!r}], or leave it out",
            )
        return load_engine(variant, folder, threads=threads)


# The same as ONNX Runtime's on the CPU, so that the faster one is chosen
backends.register("openvino")(OpenVino(preference=100))
