"""The fp16 graph in the CUDA provider of ONNX Runtime, with inputs and outputs bound on the device."""

from pathlib import Path

from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Logits
from bench.gpu.runner import GpuRunner
from bench.models.release_folder import model_file

PROVIDER = "CUDAExecutionProvider"


class OnnxRuntimeRunner(GpuRunner):
    """Runs the graph in a prepared folder; RuntimeError if the CUDA provider cannot be used."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        if hasattr(onnxruntime, "preload_dlls"):
            # The libraries of CUDA are in PyTorch's packages
            onnxruntime.preload_dlls()
        self._runtime = onnxruntime
        self._session = onnxruntime.InferenceSession(model_file(folder), providers=[PROVIDER])
        if PROVIDER not in self._session.get_providers():
            raise RuntimeError(
                f"onnxruntime cannot use {PROVIDER} here; it chose {self._session.get_providers()}"
            )
        self._binding = self._session.io_binding()

    def take(self, ids: Ids, mask: Ids) -> None:
        self._binding = self._session.io_binding()
        for name, array in (("input_ids", ids), ("attention_mask", mask)):
            self._binding.bind_ortvalue_input(
                name, self._runtime.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
            )
        for output in self._session.get_outputs():
            self._binding.bind_output(output.name, "cuda")

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def logits(self) -> Logits:
        logits: Logits = self._binding.copy_outputs_to_cpu()[0].astype("float32")
        return logits
