"""An ONNX file through ONNX Runtime's CPU provider, as its users open it."""

from collections.abc import Mapping
from pathlib import Path

from bench.shapes import Ids
from bench.subjects import Answer, Logits

OPTIMIZERS = "disabled_optimizers"


def open_session(path: Path, threads: int, settings: Mapping[str, str] | None = None) -> Answer:
    """Answers of the graph at `path` on `threads` threads.

    `settings` are ONNX Runtime's session configuration entries; `disabled_optimizers` names optimizers to leave out,
    with commas between.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    entries = dict(settings or {})
    disabled = entries.pop(OPTIMIZERS, "").replace(";", ",").split(",")
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(
        str(path),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=[name for name in disabled if name],
    )
    output = session.get_outputs()[0].name

    def answer(ids: Ids, mask: Ids) -> Logits:
        logits: Logits = session.run([output], {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    return answer
