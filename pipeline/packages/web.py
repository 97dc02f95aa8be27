"""A folder for a static server: the release, its engine, and a page that answers in the browser."""

import base64
import hashlib
import json
from pathlib import Path

from pipeline.packages import package_kind, release_files, static_files
from pipeline.packages.base import PackageContents, PackageRequest
from pipeline.packages.javascript import check_supported, example
from pipeline.packages.npm import NpmPackage

MODEL = "model"
"""The folder of the release that holds the variant alone; transformers.js takes it for the name of a model."""
TRANSFORMERS = NpmPackage(
    name="@huggingface/transformers",
    version="4.3.1",
    integrity="sha512-5+voSeUCFK6PCKlY15dPhNOKq3/zOTxDN7oC+Wy9dFb1QZ0TSQomZRRy7URRK8YRuUoE9fGMQTTPC5d/pWBJhA==",
    licence="Apache-2.0",
    files={"dist/transformers.web.min.js": "transformers.js", "LICENSE": "LICENSE-transformers.txt"},
)
ENGINE = NpmPackage(
    # The version that this transformers.js was built with
    name="onnxruntime-web",
    version="1.31.0-dev.20260914-8d85527a0",
    integrity="sha512-Iy7rtadoBgxS/LLvDr3QW38DB1PNXRnr0GJMcL0TAt7c9qjgVQl83UlGCVyeAnK2InpmW8Uc3PL8XIuqtDeF6g==",
    licence="MIT",
    # Not every server knows the ending .mjs
    files={
        "dist/ort.wasm.min.mjs": "onnxruntime.js",
        "dist/ort-wasm-simd-threaded.mjs": "ort-wasm-simd-threaded.js",
        "dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
    },
)
TOKENIZERS = NpmPackage(
    name="@huggingface/tokenizers",
    version="0.2.0",
    integrity="sha512-LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==",
    licence="Apache-2.0",
    files={"dist/tokenizers.min.mjs": "tokenizers.js", "LICENSE": "LICENSE-tokenizers.txt"},
)
_VENDOR = "vendor"
# transformers.js asks for the engine by two names, and the WebAssembly build for CPUs answers to both
_IMPORTS = {
    "@huggingface/transformers": f"./{_VENDOR}/transformers.js",
    "@huggingface/tokenizers": f"./{_VENDOR}/tokenizers.js",
    "onnxruntime-web/webgpu": f"./{_VENDOR}/onnxruntime.js",
    "onnxruntime-common": f"./{_VENDOR}/onnxruntime.js",
}
_PAGES = ("index.html", "self-test.html")
# The names that transformers.js has for the graphs of a release
_DTYPES = {"onnx/model.onnx": "fp32", "onnx/model_quantized.onnx": "q8"}


@package_kind(
    "web",
    help="A folder for a static server, with a page that answers in the browser.",
    # A quarter of the download
    holds=("onnxruntime-cpu:int8", "onnxruntime-cpu:fp32"),
)
def write_web(request: PackageRequest, folder: Path) -> PackageContents:
    """Write the page, the release, and the engine's files; UsageError for a tokenizer that JavaScript cannot read."""
    check_supported(request)
    release_files.write_release(request, folder / MODEL)
    static_files.copy("javascript", folder / "distilforge")
    static_files.copy("web", folder)
    static_files.copy("shared", folder)
    for package in (TRANSFORMERS, ENGINE, TOKENIZERS):
        package.extract(folder / _VENDOR)
    (folder / _VENDOR / "README.md").write_text(_vendor_readme(), encoding="utf-8")
    for page in _PAGES:
        _fill_in(folder / page)
    _write_settings(request, folder)
    return PackageContents(
        usage=_usage(request),
        self_test=("python", "self_test.py"),
        needs=("Python", "Chromium or Chrome"),
        limits=(
            "The engine is ONNX Runtime's WebAssembly build for CPUs, on one thread unless the server sends "
            "`Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`. WebGPU is "
            "not used.",
            "The self-test runs Chromium; Firefox and Safari were not tried. `self-test.html` tests any browser.",
        ),
    )


def _fill_in(page: Path) -> None:
    """Put the import map into a page, and its digest into the page's content security policy."""
    imports = json.dumps({"imports": _IMPORTS})
    digest = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()
    text = page.read_text(encoding="utf-8")
    text = text.replace("IMPORT_MAP_SHA256", digest).replace("IMPORT_MAP", imports)
    page.write_text(text, encoding="utf-8")


def _write_settings(request: PackageRequest, folder: Path) -> None:
    """Write settings.json, which the page reads."""
    graph = request.variant.files[0]
    served = (folder / MODEL / graph, *(folder / _VENDOR).iterdir(), folder / MODEL / "tokenizer.json")
    settings = {
        "version": request.manifest.version,
        "graph": graph,
        "dtype": _DTYPES[graph],
        "variant": request.variant.name,
        "precision": request.variant.precision,
        "reason": request.reason,
        "bytes": sum(path.stat().st_size for path in served),
        "client": f"transformers.js {TRANSFORMERS.version} with onnxruntime-web {ENGINE.version}",
    }
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _vendor_readme() -> str:
    lines = [
        f"- {package.name} {package.version}, {package.licence}, {package.integrity}"
        for package in (TRANSFORMERS, ENGINE, TOKENIZERS)
    ]
    return "Unchanged files of these npm packages:\n\n" + "\n".join(lines) + "\n"


def _usage(request: PackageRequest) -> str:
    return f"""\
```sh
python3 -m http.server --bind 127.0.0.1 8000    # or any static server: nginx, S3, GitHub Pages
```

Open <http://127.0.0.1:8000>. The page needs no other host: it tells transformers.js where the model and the
WebAssembly files are, and its content security policy refuses everything else. Texts stay in the browser.

In a page of your own, with the import map of `index.html`:

```js
import {{ describe, load }} from "./engine.js";
const model = await load(await describe());
console.log(await model.answer({example(request)}));
```

`model/` is a release that transformers.js reads too: `engine.js` shows the settings."""
