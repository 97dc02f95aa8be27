"""A model repository for NVIDIA's Triton Inference Server: texts in, the graph's outputs out."""

import json
from dataclasses import replace
from pathlib import Path

from distilforge.manifest import Tensor

from pipeline.errors import UsageError
from pipeline.packages import package_kind, release_files, static_files, triton_config
from pipeline.packages.base import PackageContents, PackageRequest
from pipeline.packages.server_names import dns_label

_PORT = 8000
_KEPT_INPUT = "kept_input"
_TENSORRT = "tensorrt"


@package_kind(
    "triton",
    help="A model repository for Triton Inference Server: an ensemble of tokenizer and model, so that text goes in.",
    # INT8 was validated with the release's onnxruntime; a server brings its own, so it is taken only if it is named
    holds=("onnxruntime-cpu:fp32", "onnxruntime-cpu:int8", "onnxruntime-cuda:*", "tensorrt:*"),
)
def write_triton(request: PackageRequest, folder: Path) -> PackageContents:
    """Write the repository with three models, and a self-test.

    Raises UsageError for an engine without padding.
    """
    if any(record.name == _KEPT_INPUT for record in request.variant.passes):
        raise UsageError(
            f"{request.variant.name} has an input that only distilforge's runtime feeds, and Triton runs engines "
            "without it",
            hint="package another variant with --variant, such as tensorrt:fp16",
        )
    manifest = request.manifest
    name, tokenizer, graph = manifest.name, f"{manifest.name}-tokenizer", f"{manifest.name}-graph"
    repository = folder / "models"
    is_plan = request.variant.target == _TENSORRT
    file = "model.plan" if is_plan else "model.onnx"
    release_files.copy_graph(request, repository / graph / "1", file)
    shown = replace(manifest, outputs=_outputs(request))
    platform = "tensorrt_plan" if is_plan else "onnxruntime_onnx"
    _write_config(repository / graph, triton_config.graph_model(graph, shown, platform=platform, file=file))
    version = repository / tokenizer / "1"
    static_files.copy("triton", version, ("model.py",))
    release_files.copy_tokenizer(request, version)
    settings = {
        "max_tokens": manifest.spans["sequence"].high,
        "min_tokens": manifest.spans["sequence"].low,
        "has_choices": len(manifest.inputs[0].shape) > 2,
    }
    (version / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    _write_config(repository / tokenizer, triton_config.tokenizer_model(tokenizer, shown))
    _write_config(repository / name, triton_config.ensemble(name, shown, tokenizer=tokenizer, graph=graph))
    # Triton wants a folder for the version, and tools that copy files drop empty ones
    (repository / name / "1").mkdir()
    (repository / name / "1" / "README").write_text("An ensemble has no files.\n", encoding="utf-8")
    static_files.copy("triton", folder, ("self_test.py", "Dockerfile"))
    static_files.copy("shared", folder)
    return PackageContents(
        usage=_usage(name),
        self_test=("python", "self_test.py"),
        needs=("Python with `tritonclient`, `protobuf`, `numpy` and `tokenizers`",),
        limits=(
            "The self-test parses every config.pbtxt by Triton's own schema and runs the tokenizer. Packages of the "
            "demo's releases answered in Triton 2.51, where a stand-in ran the graph: its backends for ONNX Runtime "
            "and TensorRT could not be had. `self_test.py --url` asks a server that runs.",
            "Triton batches requests of one length only.",
        ),
    )


def _outputs(request: PackageRequest) -> tuple[Tensor, ...]:
    """The graph's outputs; an engine in half precision answers the type of the graph that it was made of."""
    if request.variant.target != _TENSORRT or not request.variant.oracle:
        return request.manifest.outputs
    import onnx

    graph = onnx.load(request.release / request.variant.oracle, load_external_data=False).graph
    types = {
        output.name: str(onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type))
        for output in graph.output
    }
    return tuple(replace(output, dtype=types[output.name]) for output in request.manifest.outputs)


def _write_config(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(text, encoding="utf-8")


def _usage(name: str) -> str:
    image = f"{dns_label(name)}-triton"
    return f"""\
```sh
docker build --tag {image} .
docker run --rm -p {_PORT}:{_PORT} {image}
python self_test.py --url http://localhost:{_PORT}
```

The Dockerfile adds `tokenizers` to Triton's image. The model `{name}` takes texts: `text`, of shape (batch, 1), or
(batch, 2) for pairs, or a context with its options. `{name}-graph` takes token ids."""
