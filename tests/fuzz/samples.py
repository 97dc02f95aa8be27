"""Small real files, from which inputs are made: a checkpoint, a release, an export, and a signed release."""

import shutil
from dataclasses import replace
from pathlib import Path

from distilforge.manifest import (
    CompiledEngine,
    Measurement,
    Metric,
    PassRecord,
    Span,
    Steadiness,
    Variant,
    Verdict,
    Withheld,
)

from pipeline.graph import file as graph_file
from tests import graphs
from tests.conftest import save_checkpoint
from tests.fuzz.target import Input
from tests.runtime_release import (
    GRAPH,
    LABELS,
    PASSED,
    published,
    read_manifest,
    record_files,
    write_manifest,
)
from tests.signed_release import sign, write_key, write_small_release

RELEASE, CHECKPOINT, SIGNED = "release", "checkpoint", "signed"
EXPORT, KEY = "export/model.onnx", "keys/key.pub.pem"


def write(folder: Path) -> Path:
    """Write the samples into `folder`, and return it."""
    head = "sequence_classification"
    pair = published(head, LABELS[head])
    shutil.copytree(pair.release, folder / RELEASE)
    shutil.copyfile(folder / RELEASE / GRAPH, folder / RELEASE / "onnx/model_fp16.onnx")
    manifest = read_manifest(folder / RELEASE)
    variants = (replace(manifest.variants[0], **_facts()), _device_variant())
    write_manifest(
        folder / RELEASE,
        replace(
            manifest,
            variants=variants,
            files=record_files(folder / RELEASE),
            withheld=(Withheld(name="onnxruntime-cpu:int8", reason="it is slower"),),
            timing=Steadiness(steady=True, reasons=(), rounds=2, megahertz=(2_000.0, 3_000.0)),
        ),
    )
    save_checkpoint(head, folder / CHECKPOINT, n_layers=1)
    graph_file.save(graphs.exported(head), folder / EXPORT)
    key = write_key(folder / "keys")
    sign(write_small_release(folder / SIGNED), key, order=7)
    return folder


def read(folder: Path, *names: str) -> tuple[Input, ...]:
    """The files `names` of `folder`; an input has the last part of the name."""
    return tuple(Input(name=Path(name).name, content=(folder / name).read_bytes()) for name in names)


def _facts() -> dict[str, object]:
    """Every field that a variant may have."""
    return {
        "passes": (PassRecord(name="attention_mha", rewrites=2),),
        "session": {"session.intra_op.allow_spinning": "0"},
        "notes": ("a note",),
        "metrics": (Metric(name="accuracy", eager=0.9, variant=0.9, examples=100),),
        "verdicts": (
            *PASSED,
            Verdict(
                check="accuracy", observed=0.001, comparison="at most", limit=0.01, unit="", reason="a point",
                interval=(-0.001, 0.001), kind="margin",
            ),
        ),
        "measurements": (
            Measurement(subject="onnxruntime-cpu:fp32", batch=1, tokens=16, seconds=(0.001, 0.002), runs=(1, 1)),
            Measurement(subject="eager", batch=1, tokens=16, seconds=(0.003, 0.003)),
        ),
    }  # fmt: skip


def _device_variant() -> Variant:
    return Variant(
        target="onnxruntime-cuda",
        precision="fp16",
        files=("onnx/model_fp16.onnx",),
        session={"use_tf32": "0"},
        oracle="onnx/model_fp16.onnx",
        validated=True,
        verdicts=PASSED,
        compiled=CompiledEngine(
            flavour="TensorRT",
            version="10.3",
            capabilities=("8.6",),
            profiles=({"batch": Span(low=1, usual=1, high=8), "sequence": Span(low=2, usual=8, high=64)},),
            precisions={"fp16": 3},
            bytes=1,
            activation_bytes=None,
            build_seconds=1.5,
            options={"tf32": "true"},
            warnings=("a warning",),
        ),
    )
