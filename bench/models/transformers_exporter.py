"""The ONNX exporter of transformers 5, in a process with packages of its own: this project has transformers 4.

    python -m bench.models.transformers_exporter CHECKPOINT FILE

needs transformers 5 on PYTHONPATH; `export` calls it so.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from distilforge.timing.shape import Shape

from bench.models.shapes import feeds
from pipeline.store.versions import installed

VERSION = "5.24.0"
_ROOT = Path(__file__).parents[2]
# transformers 5 imports these from the environment, so that both have the same
_SHARED = ("numpy", "safetensors", "fsspec", "filelock", "packaging", "pyyaml", "regex", "tqdm")


def export(checkpoint: Path, file: Path) -> None:
    """Write the classifier at `checkpoint`, exported, fused and quantized by transformers 5, to the ONNX file `file`.

    pip installs transformers into a temporary folder, in front of the packages of this environment; torch, onnx and
    onnxruntime are those of this environment. Raises CalledProcessError if pip or the export fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        packages, constraints = Path(scratch) / "packages", Path(scratch) / "constraints.txt"
        constraints.write_text(
            "".join(f"{name}=={version}\n" for name in _SHARED if (version := installed(name))),
            encoding="utf-8",
        )
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run(  # noqa: S603 - pip of this environment
            (*pip, "--target", str(packages), "-c", str(constraints), f"transformers=={VERSION}"), check=True
        )
        path = os.pathsep.join((str(packages), str(_ROOT), str(_ROOT / "runtime")))
        subprocess.run(  # noqa: S603 - this module
            (sys.executable, "-m", "bench.models.transformers_exporter", str(checkpoint), str(file)),
            env={**os.environ, "PYTHONPATH": path},
            check=True,
        )


def main() -> None:
    """Export with the transformers on the path."""
    checkpoint, file = map(Path, sys.argv[1:])
    import onnxruntime.quantization
    import torch
    import transformers

    assert transformers.__version__ == VERSION, transformers.__version__
    # The transformers of this project does not have it
    exporters = importlib.import_module("transformers.exporters")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        checkpoint, attn_implementation="sdpa", dtype=torch.float32
    ).eval()
    ids, mask = map(torch.from_numpy, feeds(Shape(batch=2, tokens=16)))
    # The settings that Optimum has for processors with VNNI
    quantizer = exporters.OnnxRuntimeQuantizer(
        exporters.OnnxRuntimeDynamicConfig(
            per_channel=True, weight_type=onnxruntime.quantization.QuantType.QInt8
        )
    )
    config = exporters.OnnxConfig(dynamic=True, ort_fusions="cpu", quantizer=quantizer)
    exported = exporters.OnnxExporter().export(
        model, {"input_ids": ids, "attention_mask": mask}, config=config
    )
    exporters.OnnxExporter.save_program(exported.program, file)


if __name__ == "__main__":
    main()
