"""A loaded engine, which can be run from any thread."""

import weakref
from collections.abc import Mapping

from distilforge.checks.outputs import check_finite
from distilforge.cuda.driver import Device
from distilforge.cuda.runtime import Cuda
from distilforge.engine import Array
from distilforge.errors import EngineError
from distilforge.manifest import Tensor
from distilforge.tensorrt.kernels import KernelCache
from distilforge.tensorrt.lanes import Lane
from distilforge.tensorrt.pool import Pool
from distilforge.tensorrt.profiles import smallest
from distilforge.tensorrt.settings import EngineSettings
from distilforge.tensorrt.toolkit import LoadedEngine


class TensorRTEngine:
    """An engine on a device. Several threads can run it, as many at once as there are contexts."""

    def __init__(
        self,
        loaded: LoadedEngine,
        cuda: Cuda,
        device: Device,
        settings: EngineSettings,
        kernels: KernelCache | None = None,
    ) -> None:
        self._loaded = loaded
        self._cuda = cuda
        self._device = device
        self._kernels = kernels
        self._kernels_saved = False
        self._lanes = Pool(lambda: Lane(loaded, cuda, settings.cuda_graphs), settings.contexts)
        # Runs at the interpreter's exit too, while the device is still usable
        self._finalizer = weakref.finalize(self, _close, self._lanes, cuda, device, kernels)

    @property
    def providers(self) -> tuple[str, ...]:
        return (self._device.provider,)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(map(self._tensor, self._loaded.inputs))

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return tuple(map(self._tensor, self._loaded.outputs))

    def _tensor(self, name: str) -> Tensor:
        # Arrays are converted from and to the engine's types, and a size of -1 depends on the batch
        return Tensor(
            name=name, dtype="", shape=tuple("" if size < 0 else size for size in self._loaded.shapes[name])
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        cast = {
            name: feeds[name].astype(self._loaded.dtypes[name], copy=False) for name in self._loaded.inputs
        }
        profile = smallest(self._loaded.profiles, {name: array.shape for name, array in cast.items()})
        self._cuda.use(self._device.index)  # each thread has its own current device
        with self._lanes.borrow() as lane:
            outputs = lane.run(cast, profile)
        if self._kernels is not None and not self._kernels_saved:
            self._kernels_saved = True
            self._kernels.save()  # at once, since the process may be killed later
        check_finite(outputs, self._loaded.name)
        return outputs

    def close(self) -> None:
        """Free the device when the running batches have ended. A closed engine must not be run."""
        self._finalizer()


def _close(lanes: Pool[Lane], cuda: Cuda, device: Device, kernels: KernelCache | None) -> None:
    try:
        cuda.use(device.index)
    except EngineError:
        return  # the device is lost, and its memory with it
    if kernels is not None:
        kernels.save()
    lanes.close()
