"""The fp16 graph in the CUDA provider of ONNX Runtime, with inputs and outputs bound on the device."""

from pathlib import Path

import numpy as np
from distilforge.manifest import Variant
from distilforge.onnxruntime import cuda_graphs
from distilforge.onnxruntime.settings import Settings
from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Logits
from bench.gpu.runner import GpuRunner
from bench.models.release_folder import model_file, read_variant

PROVIDER = "CUDAExecutionProvider"


def provider_options(variant: Variant, *, graphs: bool) -> dict[str, str]:
    """The options of the CUDA provider: those of `variant`, the first device, and whether it captures CUDA graphs."""
    return {
        **Settings.of(variant).provider_options,
        "device_id": "0",
        cuda_graphs.OPTION: "1" if graphs else "0",
    }


class OnnxRuntimeRunner(GpuRunner):
    """Runs the graph in a prepared folder; RuntimeError if the CUDA provider cannot be used.

    With `copies`, each run copies its inputs to the device and its logits back. With `graphs`, ONNX Runtime captures a
    CUDA graph for each shape of which the runtime of distilforge would have one.
    """

    def __init__(self, folder: Path, *, copies: bool, graphs: bool) -> None:
        import onnxruntime

        if hasattr(onnxruntime, "preload_dlls"):
            # The libraries of CUDA are in PyTorch's packages
            onnxruntime.preload_dlls()
        self._runtime = onnxruntime
        self._copies, self._graphs = copies, graphs
        options = provider_options(read_variant(folder), graphs=graphs)
        self._session = onnxruntime.InferenceSession(model_file(folder), providers=[(PROVIDER, options)])
        if PROVIDER not in self._session.get_providers():
            raise RuntimeError(
                f"onnxruntime cannot use {PROVIDER} here; it chose {self._session.get_providers()}"
            )
        self._taken = 0
        self._batch: dict[str, Ids] = {}

    def take(self, ids: Ids, mask: Ids) -> None:
        self._batch = {"input_ids": ids, "attention_mask": mask}
        self._binding = self._session.io_binding()
        self._inputs = {
            name: self._runtime.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
            for name, array in self._batch.items()
        }
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        # A CUDA graph writes to the address that it was captured with
        labels = self._session.get_outputs()[0].shape[-1]
        self._logits = self._runtime.OrtValue.ortvalue_from_shape_and_type(
            [len(ids), labels], np.float32, "cuda", 0
        )
        self._binding.bind_ortvalue_output("logits", self._logits)
        self._run_options = self._runtime.RunOptions()
        if self._graphs:
            # The buffers are new each time, and so must be the graph
            self._taken += 1
            # As in the runtime, larger batches run without one
            number = str(self._taken) if ids.size <= cuda_graphs.MOST_TOKENS else cuda_graphs.WITHOUT_GRAPH
            self._run_options.add_run_config_entry(cuda_graphs.GRAPH, number)

    def run(self) -> None:
        if self._copies:
            for name, value in self._inputs.items():
                value.update_inplace(self._batch[name])
        self._session.run_with_iobinding(self._binding, self._run_options)
        self._binding.synchronize_outputs()
        if self._copies:
            self._host_logits = self._logits.numpy()

    def logits(self) -> Logits:
        logits: Logits = self._logits.numpy().astype("float32")
        return logits
