"""An engine on a fake GPU as a subject of the benchmark, for a process of its own."""

import sys

from distilforge.cuda import runtime
from distilforge.cuda.runtime import CudaPython
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.settings import EngineSettings
from distilforge.timing.feeds import Ids

from bench.gpu.engine_runner import EngineRunner
from tests.fake_gpu.cuda import MODULE, FakeCuda
from tests.fake_gpu.toolkit import GPU, fake_engine


class _Runner(EngineRunner):
    """Feeds small ids, whose sum the engine's float16 can hold."""

    def take(self, ids: Ids, mask: Ids) -> None:
        super().take(ids % 9, mask)


def open_engine(copies: bool = True) -> EngineRunner:
    """An engine for up to 8 texts of up to 64 tokens."""
    cuda = FakeCuda()
    previous = runtime.MODULE, runtime.DRIVER_MODULE
    sys.modules[MODULE] = cuda  # type: ignore[assignment]
    runtime.MODULE = runtime.DRIVER_MODULE = MODULE
    try:
        engine = TensorRTEngine(fake_engine(cuda), CudaPython(), GPU, EngineSettings())
    finally:
        runtime.MODULE, runtime.DRIVER_MODULE = previous
        del sys.modules[MODULE]
    return _Runner(engine, copies=copies)
