"""The model of transformers converted to OpenVINO, and opened as OpenVINO's users do."""

from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.timing.feeds import Ids
from distilforge.timing.shape import Shape

from bench.contest.base_subject import Answer, Logits
from bench.models.shapes import SHAPES, feeds

if TYPE_CHECKING:
    import openvino

FILE = "model.xml"
OPENED = "latency hint, one stream, inputs and outputs shared"
"""How `open_model` sets OpenVINO up, for readers of a table."""
CALIBRATION_TEXTS = 300


def prepare(checkpoint: Path, folder: Path) -> None:
    """Convert the checkpoint to a file in float32 in `folder`."""
    import openvino

    # The files of the subjects in bf16 and float32 have all bits
    openvino.save_model(_convert(checkpoint), folder / FILE, compress_to_fp16=False)


def prepare_int8(checkpoint: Path, folder: Path) -> None:
    """Convert the checkpoint, and quantize it with NNCF on random texts of 16 to 384 tokens."""
    import nncf
    import openvino

    def text(number: int) -> dict[str, Ids]:
        shape = Shape(batch=1, tokens=SHAPES[number % len(SHAPES)].tokens)
        return dict(zip(("input_ids", "attention_mask"), feeds(shape, seed=number), strict=True))

    data = nncf.Dataset(range(CALIBRATION_TEXTS), text)
    quantized = nncf.quantize(
        _convert(checkpoint),
        data,
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.PERFORMANCE,
    )
    openvino.save_model(quantized, folder / FILE)


def open_model(folder: Path, threads: int, *, precision: str | None) -> Answer:
    """Open the file in `folder`; `precision` is a hint for OpenVINO, "f32" or "bf16", or None for its own choice.

    Raises RuntimeError if OpenVINO takes another precision than the hint.
    """
    import openvino

    properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    if precision is not None:
        properties["INFERENCE_PRECISION_HINT"] = precision
    compiled = openvino.Core().compile_model(folder / FILE, "CPU", properties)
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if precision not in (None, used):
        raise RuntimeError(f"OpenVINO was asked for {precision} and computes in {used} here")
    request = compiled.create_infer_request()

    def answer(ids: Ids, mask: Ids) -> Logits:
        results = request.infer(
            {"input_ids": ids, "attention_mask": mask}, share_inputs=True, share_outputs=True
        )
        logits: Logits = results[0]
        return logits

    return answer


def _convert(checkpoint: Path) -> "openvino.Model":
    import openvino
    import torch
    import transformers

    model = transformers.DistilBertForSequenceClassification.from_pretrained(
        checkpoint, attn_implementation="sdpa"
    ).eval()
    ids, mask = map(torch.from_numpy, feeds(Shape(batch=2, tokens=16)))
    with torch.no_grad():
        return openvino.convert_model(
            model,
            example_input={"input_ids": ids, "attention_mask": mask},
            input=[("input_ids", [-1, -1]), ("attention_mask", [-1, -1])],
        )
