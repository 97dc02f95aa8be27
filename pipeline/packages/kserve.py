"""A model folder and an InferenceService for KServe."""

from pathlib import Path

import yaml

from pipeline.packages import package_kind, release_files, static_files, triton_config
from pipeline.packages.base import PackageContents, PackageRequest
from pipeline.packages.server_names import dns_label


@package_kind(
    "kserve",
    help="A model folder and an InferenceService for KServe, whose Triton runtime serves it.",
    # INT8 was validated with the release's onnxruntime; a server brings its own, so it is taken only if it is named
    holds=("onnxruntime-cpu:fp32", "onnxruntime-cpu:int8", "onnxruntime-cuda:*"),
)
def write_kserve(request: PackageRequest, folder: Path) -> PackageContents:
    """Write models/NAME/ as Triton reads it, inferenceservice.yaml and a self-test."""
    name, service = request.manifest.name, dns_label(request.manifest.name)
    release_files.copy_graph(request, folder / "models" / name / "1", "model.onnx")
    config = triton_config.graph_model(name, request.manifest, platform="onnxruntime_onnx", file="model.onnx")
    (folder / "models" / name / "config.pbtxt").write_text(config, encoding="utf-8")
    (folder / "inferenceservice.yaml").write_text(
        yaml.safe_dump(_service(service), sort_keys=False), encoding="utf-8"
    )
    release_files.copy_tokenizer(request, folder / "tokenizer")
    static_files.copy("server", folder)
    static_files.copy("shared", folder)
    return PackageContents(
        usage=_usage(name, service),
        self_test=("python", "self_test.py", "--engine", "onnxruntime"),
        needs=("Python with `onnxruntime` and `numpy`",),
        limits=(
            "The model takes token ids, not text: tokenize with `tokenizer/tokenizer.json`.",
            "The self-test loads the model with the onnxruntime package, which is the engine of Triton's backend. "
            "KServe and Triton were not run; `self_test.py --url` asks a service that runs.",
        ),
    )


def _usage(name: str, service: str) -> str:
    renamed = "" if service == name else f" The service is `{service}`, and the model in it is `{name}`."
    return f"""\
Copy `models/` to the storage that `storageUri` in `inferenceservice.yaml` names (a volume, `s3://` or `gs://`), and \
deploy it:

```sh
kubectl apply -f inferenceservice.yaml
kubectl wait --for=condition=Ready inferenceservice/{service}
python self_test.py --url http://{service}.example.com
```

In place of the last address, give that of your service.{renamed}"""


def _service(name: str) -> dict[str, object]:
    """The InferenceService; its names are those of serving.kserve.io/v1beta1."""
    model = {
        "modelFormat": {"name": "onnx"},
        "protocolVersion": "v2",
        "runtime": "kserve-tritonserver",
        "storageUri": "pvc://models/",
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"model": model}},
    }
