"""A model folder for OpenVINO Model Server."""

import json
from pathlib import Path
from urllib.parse import quote

from pipeline.packages import package_kind, release_files, static_files
from pipeline.packages.base import PackageContents, PackageRequest

_PORT = 8000
_OPENVINO = "openvino"
_SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
"""As the runtime sets them: OpenVINO would compute in bf16 on processors that have it."""


@package_kind(
    "ovms",
    help="A model folder for OpenVINO Model Server, which answers over REST and gRPC.",
    # Answers of INT8 graphs were validated with another engine's kernels, unless they were made for OpenVINO
    holds=("openvino:*", "onnxruntime-cpu:fp32"),
)
def write_ovms(request: PackageRequest, folder: Path) -> PackageContents:
    """Write models/NAME/1/model.onnx, the server's config.json and a self-test."""
    name = request.manifest.name
    release_files.copy_graph(request, folder / "models" / name / "1", "model.onnx")
    settings = dict(request.variant.session) if request.variant.target == _OPENVINO else {}
    model_config = {
        "name": name,
        "base_path": f"/workspace/models/{name}",
        "target_device": "CPU",
        "plugin_config": {**_SETTINGS, **settings},
    }
    configuration = {"model_config_list": [{"config": model_config}]}
    (folder / "config.json").write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")
    static_files.copy("server", folder)
    static_files.copy("shared", folder)
    release_files.copy_tokenizer(request, folder / "tokenizer")
    return PackageContents(
        usage=_usage(name),
        self_test=("python", "self_test.py"),
        needs=("Python with `openvino` and `numpy`",),
        limits=(
            "The server takes token ids, not text: tokenize with `tokenizer/tokenizer.json`.",
            "The self-test loads the model with the OpenVINO package, which is the server's engine. The server itself "
            "was not run; `self_test.py --url` asks one that runs.",
        ),
    )


def _usage(name: str) -> str:
    return f"""\
```sh
docker run --rm -p {_PORT}:{_PORT} -v "$PWD:/workspace" openvino/model_server:latest \\
  --config_path /workspace/config.json --rest_port {_PORT}
curl http://localhost:{_PORT}/v2/models/{quote(name, safe="")}/ready
python self_test.py --url http://localhost:{_PORT}
```

`models/{name}/1/` is version 1 of the model: put a new one beside it as `2`, and the server loads it.
`config.json` names the folder as it is mounted above."""
