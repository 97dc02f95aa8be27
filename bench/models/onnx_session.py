"""An ONNX file in the CPU provider of ONNX Runtime, opened as its users do."""

from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.onnxruntime.settings import Settings
from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Answer, Logits

if TYPE_CHECKING:
    import onnxruntime

DEFAULTS = Settings()


def open_session(path: Path, threads: int, settings: Settings = DEFAULTS) -> Answer:
    """Open the graph at `path`, to run on `threads` threads."""
    session = load(path, threads, settings)
    output = session.get_outputs()[0].name

    def answer(ids: Ids, mask: Ids) -> Logits:
        logits: Logits = session.run([output], {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    return answer


def load(
    path: Path, threads: int, settings: Settings, *, profile: Path | None = None
) -> "onnxruntime.InferenceSession":
    """A session for the graph at `path`.

    If `profile` is given, the profiler of ONNX Runtime is on, and the name of its file begins with `profile`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    arguments = settings.apply(options)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"], **arguments)
