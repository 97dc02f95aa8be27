"""An ONNX file through ONNX Runtime's CPU provider, as its users open it."""

from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.onnxruntime.settings import Settings
from distilforge.timing.feeds import Ids

from bench.subjects import Answer, Logits

if TYPE_CHECKING:
    import onnxruntime

DEFAULTS = Settings()


def open_session(path: Path, threads: int, settings: Settings = DEFAULTS) -> Answer:
    """Answers of the graph at `path` on `threads` threads."""
    session = load(path, threads, settings)
    output = session.get_outputs()[0].name

    def answer(ids: Ids, mask: Ids) -> Logits:
        logits: Logits = session.run([output], {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    return answer


def load(
    path: Path, threads: int, settings: Settings, *, profile: Path | None = None
) -> "onnxruntime.InferenceSession":
    """The session; with `profile`, ONNX Runtime's profiler writes to a file whose name begins so."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    besides = settings.apply(options)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"], **besides)
