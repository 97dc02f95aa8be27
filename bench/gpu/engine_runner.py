"""A TensorRT engine through this project's runtime, as applications call it: arrays in, arrays out."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from distilforge.backends import backends

from bench.gpu.compiled import COMPILED, described
from bench.shapes import Ids
from bench.subjects import Logits

CLOCK = "wall clock around a call with arrays of the host: copies to and from the device are in it"


class EngineRunner:
    """An engine and the batch that it answers; RuntimeError where it cannot run on this machine."""

    def __init__(self, folder: Path) -> None:
        variant = described(folder)
        backend = backends.get(variant.target)
        assert backend is not None, variant.target
        obstacle = backend.obstacle(variant)
        if obstacle is not None:
            raise RuntimeError(obstacle)
        self._engine = backend.load(variant, folder / COMPILED, providers=None, threads=None)
        self._batch: dict[str, Ids] = {}
        self._logits: Logits | None = None

    def feed(self, ids: Ids, mask: Ids) -> None:
        self._batch = {"input_ids": ids, "attention_mask": mask}

    def time(self, runs: int) -> Sequence[float]:
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            outputs = self._engine.run(self._batch)
            seconds.append(time.perf_counter() - start)
            self._logits = outputs["logits"].astype(np.float32)
        return seconds

    def logits(self) -> Logits:
        assert self._logits is not None
        return self._logits

    def allocated_bytes(self) -> int | None:
        return None
