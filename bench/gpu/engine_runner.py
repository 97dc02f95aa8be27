"""A TensorRT engine in the runtime of this project, called as applications do: arrays in, arrays out."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from distilforge.backends import backends
from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Logits
from bench.gpu.runner import GpuRunner
from bench.models.release_folder import COMPILED, read_variant

CLOCK = "wall clock around a call with arrays in host memory: copies to and from the device are included"


class EngineRunner(GpuRunner):
    """Runs the engine in a prepared folder; RuntimeError if it cannot run on this machine."""

    def __init__(self, folder: Path) -> None:
        variant = read_variant(folder)
        backend = backends.get(variant.target)
        assert backend is not None, variant.target
        obstacle = backend.obstacle(variant)
        if obstacle is not None:
            raise RuntimeError(obstacle)
        self._engine = backend.load(variant, folder / COMPILED, providers=None, threads=None)
        self._batch: dict[str, Ids] = {}
        self._outputs: Mapping[str, npt.NDArray[np.generic]] = {}

    def take(self, ids: Ids, mask: Ids) -> None:
        self._batch = {"input_ids": ids, "attention_mask": mask}

    def run(self) -> None:
        self._outputs = self._engine.run(self._batch)

    def logits(self) -> Logits:
        return self._outputs["logits"].astype(np.float32)
