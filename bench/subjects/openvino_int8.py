"""OpenVINO with the INT8 post-training quantization that NNCF has for transformers."""

from pathlib import Path

from distilforge.timing.feeds import Ids
from distilforge.timing.shape import Shape

from bench.contest.base_subject import Answer, Logits
from bench.models.shapes import SHAPES, feeds
from bench.subjects import Subject, subjects

FILE = "model.xml"
CALIBRATION_TEXTS = 300


def _prepare(checkpoint: Path, folder: Path) -> None:
    """Convert the model of transformers, and quantize it with random texts of 16 to 384 tokens."""
    import nncf
    import openvino
    import torch
    import transformers

    model = transformers.DistilBertForSequenceClassification.from_pretrained(
        checkpoint, attn_implementation="sdpa"
    ).eval()
    ids, mask = map(torch.from_numpy, feeds(Shape(batch=2, tokens=16)))
    with torch.no_grad():
        converted = openvino.convert_model(
            model,
            example_input={"input_ids": ids, "attention_mask": mask},
            input=[("input_ids", [-1, -1]), ("attention_mask", [-1, -1])],
        )

    def text(number: int) -> dict[str, Ids]:
        shape = Shape(batch=1, tokens=SHAPES[number % len(SHAPES)].tokens)
        return dict(zip(("input_ids", "attention_mask"), feeds(shape, seed=number), strict=True))

    data = nncf.Dataset(range(CALIBRATION_TEXTS), text)
    quantized = nncf.quantize(
        converted, data, model_type=nncf.ModelType.TRANSFORMER, preset=nncf.QuantizationPreset.PERFORMANCE
    )
    openvino.save_model(quantized, folder / FILE)


def _open(folder: Path, threads: int) -> Answer:
    import openvino

    compiled = openvino.Core().compile_model(
        folder / FILE,
        "CPU",
        {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1},
    )
    request = compiled.create_infer_request()

    def answer(ids: Ids, mask: Ids) -> Logits:
        results = request.infer(
            {"input_ids": ids, "attention_mask": mask}, share_inputs=True, share_outputs=True
        )
        logits: Logits = results[0]
        return logits

    return answer


subjects.add(
    Subject(
        name="openvino-int8",
        title="OpenVINO INT8",
        settings=(
            "NNCF quantize(model_type=TRANSFORMER, preset=PERFORMANCE), latency hint, one stream, inputs and outputs "
            "shared"
        ),
        packages=("openvino", "nncf", "torch", "transformers"),
        prepare=_prepare,
        open=_open,
    )
)
