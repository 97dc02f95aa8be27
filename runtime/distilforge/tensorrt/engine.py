"""A loaded engine, which can be run from any thread."""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np

from distilforge import kept_tokens
from distilforge.checks.outputs import check_finite
from distilforge.cuda.arrays import DeviceArray, taken
from distilforge.cuda.captures import captures, free_at_exit
from distilforge.cuda.driver import Device
from distilforge.cuda.runtime import Cuda, free_on
from distilforge.engine import Array, Shapes
from distilforge.errors import InputError
from distilforge.forks import Birthplace
from distilforge.kept_tokens import KEPT_TOKENS, MASK
from distilforge.manifest import Tensor
from distilforge.tensorrt.kernels import KernelCache
from distilforge.tensorrt.lanes import Lane
from distilforge.tensorrt.outputs import OutputMemory
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
        self._fed = tuple(name for name in loaded.inputs if name != KEPT_TOKENS)
        """What users feed."""
        self._drops_padding = KEPT_TOKENS in loaded.inputs
        self._memory = OutputMemory(cuda, device.index)
        allocate = self._memory.allocate
        self._lanes = Pool(lambda: Lane(loaded, cuda, settings.cuda_graphs, allocate), settings.contexts)
        self._birthplace = Birthplace()
        self._free = partial(_close, self._lanes, self._memory, cuda, device, kernels, self._birthplace)
        # Runs at the interpreter's exit too, while the device is still usable
        self._finalizer = weakref.finalize(self, captures.afterwards, self._free)
        free_at_exit()

    @property
    def providers(self) -> tuple[str, ...]:
        return (self._device.provider,)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(map(self._tensor, self._fed))

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return tuple(map(self._tensor, self._loaded.outputs))

    def _tensor(self, name: str) -> Tensor:
        # Arrays are converted from and to the engine's types, and a size of -1 depends on the batch
        return Tensor(
            name=name, dtype="", shape=tuple("" if size < 0 else size for size in self._loaded.shapes[name])
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        if self._drops_padding:
            feeds = kept_tokens.complete(feeds)
        cast = {
            name: feeds[name].astype(self._loaded.dtypes[name], copy=False) for name in self._loaded.inputs
        }
        profile = smallest(self._loaded.profiles, {name: array.shape for name, array in cast.items()})
        with self._using_device(), self._lanes.borrow() as lane:
            outputs = lane.run(cast, profile)
        self._keep_kernels()
        check_finite(outputs, self._loaded.name)
        return outputs

    def run_on_device(
        self, feeds: Mapping[str, object], check: Callable[[Shapes], None] | None = None
    ) -> dict[str, DeviceArray]:
        """Every output by name, on the device, in the engine's own types; `feeds` are arrays on the device.

        They are arrays of any library that speaks DLPack or has `__cuda_array_interface__`, of the types and shapes
        of the inputs. Values are not checked: an id outside the vocabulary gives a meaningless answer, and NaN is
        passed on. `check` looks at the shapes before the inputs are used. An engine without padding copies the mask to
        the host. Raises InputError for an input that is
        missing, is not a contiguous array on the engine's device, or has another type than the engine's; what `check`
        raises; and EngineError where the engine fails or has no such shapes.
        """
        with self._using_device():
            arrays = {name: self._taken(name, feeds) for name in self._fed}
        if check is not None:
            check({name: array.shape for name, array in arrays.items()})
        if self._drops_padding:
            arrays[KEPT_TOKENS] = self.to_device(kept_tokens.kept(self.to_host(arrays[MASK])))
        profile = smallest(self._loaded.profiles, {name: array.shape for name, array in arrays.items()})
        with self._using_device(), self._lanes.borrow() as lane:
            outputs = lane.run_on_device(arrays, profile, self._memory.array)
        self._keep_kernels()
        return outputs

    def to_device(self, array: Array) -> DeviceArray:
        """A copy of `array` on the engine's device."""
        source = np.ascontiguousarray(array)
        with self._using_device():
            copy = self._memory.array(array.shape, array.dtype)
            self._copy(
                lambda stream: self._cuda.copy_in(copy.address, source.ctypes.data, source.nbytes, stream)
            )
        return copy

    def to_host(self, array: DeviceArray) -> Array:
        """A copy of `array` in the host's memory."""
        copy: Array = np.empty(array.shape, array.dtype)
        with self._using_device():
            self._copy(
                lambda stream: self._cuda.copy_out(copy.ctypes.data, array.address, copy.nbytes, stream)
            )
        return copy

    @contextmanager
    def _using_device(self) -> Iterator[None]:
        """What a run does on the device, while no session of ONNX Runtime captures a graph; not to be nested."""
        self._birthplace.check()
        with captures.beside(), self._cuda.on(self._device.index):
            yield

    def _copy(self, start: Callable[[int], None]) -> None:
        """Start a copy on a stream of its own, and wait for it."""
        stream = self._cuda.create_stream()
        try:
            start(stream)
            self._cuda.wait(stream)
        finally:
            self._cuda.destroy_stream(stream)

    def _taken(self, name: str, feeds: Mapping[str, object]) -> DeviceArray:
        if name not in feeds:
            raise InputError(
                f"the input {name!r} is missing",
                hint=f"feed all of {', '.join(self._fed)}",
            )
        array = taken(name, feeds[name], self._cuda, self._device.index)
        if array.dtype != self._loaded.dtypes[name]:
            raise InputError(
                f"the input {name!r} has dtype {array.dtype}; on the device it must be {self._loaded.dtypes[name]}",
                hint="convert it on the device",
            )
        return array

    def _keep_kernels(self) -> None:
        if self._kernels is not None:
            self._kernels.save_when_due()

    def prepare(self) -> None:
        """Create the first context now, which takes the device's memory; EngineError where it does not have enough."""
        with self._cuda.on(self._device.index), self._lanes.borrow():
            pass

    def close(self) -> None:
        """Free the device when the running batches have ended. A closed engine must not be run."""
        if not self._birthplace.is_here:
            return
        with captures.beside():
            if self._finalizer.detach() is not None:
                self._free()


def _close(
    lanes: Pool[Lane],
    memory: OutputMemory,
    cuda: Cuda,
    device: Device,
    kernels: KernelCache | None,
    birthplace: Birthplace,
) -> None:
    # A forked process ends without the device, which belongs to its parent
    if not birthplace.is_here:
        return
    saving = () if kernels is None else (kernels.save,)
    free_on(cuda, device.index, memory.close, lanes.close, *saving)
