"""An engine on a fake GPU as a subject of the benchmark, for a process of its own."""

import sys

from distilforge.cuda import runtime
from distilforge.cuda.runtime import CudaPython
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.settings import EngineSettings

from bench.gpu.engine_runner import EngineRunner
from tests.fake_gpu.cuda import MODULE, FakeCuda
from tests.fake_gpu.toolkit import GPU, fake_engine


def open_engine(copies: bool = True) -> EngineRunner:
    """An engine for up to 8 texts of up to 64 tokens."""
    cuda = FakeCuda()
    previous = runtime.MODULE
    sys.modules[MODULE] = cuda  # type: ignore[assignment]
    runtime.MODULE = MODULE
    try:
        engine = TensorRTEngine(fake_engine(cuda), CudaPython(), GPU, EngineSettings())
    finally:
        runtime.MODULE = previous
        del sys.modules[MODULE]
    return EngineRunner(engine, copies=copies)
