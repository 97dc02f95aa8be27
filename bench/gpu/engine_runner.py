"""A variant in the runtime of this project, with arrays in host memory, or for TensorRT's engines on the device."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from distilforge.backends import backends
from distilforge.cuda.arrays import DeviceArray
from distilforge.engine import Array, Engine
from distilforge.onnxruntime.device import OnnxRuntimeDevice
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.settings import KERNELS
from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Logits
from bench.gpu.device import PROVIDER
from bench.gpu.runner import GpuRunner
from bench.models.release_folder import COMPILED, read_variant

# Between its turns the process is stopped, so that it cannot compile kernels in the background
_EAGER = {KERNELS: "eager"}


class EngineRunner(GpuRunner):
    """Runs `engine`; with `copies`, arrays are copied to the device and back, and otherwise they are on it."""

    def __init__(self, engine: Engine, *, copies: bool) -> None:
        self._engine = engine
        self._copies = copies
        self._batch: dict[str, Ids] = {}
        self._device_batch: dict[str, DeviceArray] = {}
        self._outputs: Mapping[str, Array | DeviceArray] = {}

    def take(self, ids: Ids, mask: Ids) -> None:
        self._outputs = {}
        self._batch = {"input_ids": ids, "attention_mask": mask}
        if not self._copies:
            assert isinstance(self._engine, TensorRTEngine), "only engines take arrays on the device"
            self._device_batch = {name: self._engine.to_device(array) for name, array in self._batch.items()}

    def run(self) -> None:
        if self._copies:
            self._outputs = self._engine.run(self._batch)
        else:
            assert isinstance(self._engine, TensorRTEngine)
            self._outputs = self._engine.run_on_device(self._device_batch)

    def logits(self) -> Logits:
        logits = self._outputs["logits"]
        if isinstance(logits, DeviceArray):
            assert isinstance(self._engine, TensorRTEngine)
            return self._engine.to_host(logits).astype(np.float32)
        return logits.astype(np.float32)


def open_engine(folder: Path, *, copies: bool) -> EngineRunner:
    """The runner of the variant in a prepared folder, on the device that all subjects use.

    Raises UnavailableError, or RuntimeError with the obstacle, if it cannot run there.
    """
    variant = read_variant(folder)
    backend = backends.get(variant.target)
    assert backend is not None, variant.target
    obstacle = backend.obstacle(variant)
    if obstacle is not None:
        raise RuntimeError(obstacle)
    # ONNX Runtime takes the first device unless it is told otherwise
    providers = None
    if not isinstance(backend, OnnxRuntimeDevice):
        variant, providers = replace(variant, session={**variant.session, **_EAGER}), (PROVIDER,)
    engine = backend.load(variant, folder / COMPILED, manifest=None, providers=providers, threads=None)
    return EngineRunner(engine, copies=copies)
