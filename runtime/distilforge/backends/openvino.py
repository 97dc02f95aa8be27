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
        """See distilforge.backends.Backend; openvino is imported only where the processor's instructions leave doubt.

        It takes 0.2 s to import, which another variant that is opened must not cost. `load` leaves no doubt.
        """
        return package.obstacle() or machine.expected_lacking(variant.needs)

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
        self.prepare()
        obstacle = machine.lacking(variant.needs)
        if obstacle is not None:
            raise UnavailableError(
                f"the variant {variant.name!r:.200} cannot run on this machine: {obstacle}",
                hint="open another variant",
            )
        return load_engine(variant, folder, threads=threads)


# The same as ONNX Runtime's on the CPU, so that the faster one is chosen
backends.register("openvino")(OpenVino(preference=100))
