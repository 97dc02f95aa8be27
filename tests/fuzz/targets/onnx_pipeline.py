"""An ONNX file that the commands `fuse` and `check` read."""

from collections.abc import Sequence
from pathlib import Path

import onnx

from pipeline.errors import PipelineError
from pipeline.stages import single_graph
from tests.fuzz import samples
from tests.fuzz.mutations import damage, protocol_buffer
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.target import Input, Reader, Target, Use

_PASSES = ("first_token", "attention_mha", "flatten_tokens")


def _mutate(sample: Input, choices: Choices) -> bytes:
    if choices.once_in(5):
        return damage.damaged(sample.content, choices)
    return protocol_buffer.changed(onnx.load_from_string(sample.content), choices)


def _prepare(folder: Path, work: Path) -> Reader:
    def uses(value: Input) -> Sequence[Use]:
        path = work / value.name
        path.write_bytes(value.content)
        return (lambda: single_graph.fuse(path, _PASSES, work / "fused.onnx"),)

    return uses


TARGET = Target(
    errors=(PipelineError,),
    samples=lambda folder: samples.read(folder, samples.EXPORT),
    mutate=_mutate,
    prepare=_prepare,
)
