"""An npm package that answers in two lines."""

import json
import re
from pathlib import Path

from pipeline.packages import package_kind, release_files, static_files
from pipeline.packages.base import PackageContents, PackageRequest
from pipeline.packages.javascript import check_supported, example
from pipeline.packages.web import MODEL, TOKENIZERS

ENGINE = ("onnxruntime-node", "1.30.0")
"""The engine's npm package, and its version."""
# The types of the input and of the answer by head, in TypeScript
_TYPES = {
    "features": ("string", "number[]"),
    "masked_lm": ("string", "FilledMask[]"),
    "multiple_choice": ("[context: string, options: string[]]", "ChosenOption"),
    "question_answering": ("[question: string, context: string]", "Answers"),
    "sequence_classification": ("string | [first: string, second: string]", "Classification"),
    "token_classification": ("string", "Entity[]"),
}
_OTHER_CHARACTERS = re.compile(r"[^a-z0-9._-]+")


@package_kind(
    "node",
    help="An npm package for Node.js, with types, that answers in two lines.",
    holds=("onnxruntime-cpu:int8", "onnxruntime-cpu:int8_7bit", "onnxruntime-cpu:fp32"),
)
def write_node(request: PackageRequest, folder: Path) -> PackageContents:
    """Write an npm package with the release in it; UsageError for a tokenizer that JavaScript cannot read."""
    check_supported(request)
    release_files.write_release(request, folder / MODEL)
    static_files.copy("javascript", folder / "distilforge")
    static_files.copy("node", folder)
    _fill_in_types(request, folder / "index.d.ts")
    name = npm_name(request.manifest.name)
    (folder / "package.json").write_text(_package_json(request, name), encoding="utf-8")
    return PackageContents(
        usage=_usage(request, name),
        self_test=("node", "self_test.mjs"),
        needs=(
            "Node.js 20 or newer",
            "the dependencies: `ONNXRUNTIME_NODE_INSTALL=skip npm install --omit=dev` in this folder",
        ),
        limits=("A call takes one input; the engine runs it on all cores.",),
    )


def npm_name(name: str) -> str:
    """`name` as npm allows it: at most 214 characters, in lower case, and without a dot or underscore in front."""
    return _OTHER_CHARACTERS.sub("-", name.lower()).lstrip("._-")[:214] or "release"


def _fill_in_types(request: PackageRequest, types: Path) -> None:
    input_type, output_type = _TYPES[request.manifest.head]
    text = types.read_text(encoding="utf-8")
    types.write_text(
        text.replace("INPUT_TYPE", input_type).replace("OUTPUT_TYPE", output_type), encoding="utf-8"
    )


def _package_json(request: PackageRequest, name: str) -> str:
    values = {
        "name": name,
        # npm wants a semantic version; a letter in front keeps a version that has only digits valid
        "version": f"1.0.0-r{request.manifest.version}",
        "description": f"The release {request.manifest.name} ({request.manifest.head}), {request.variant.name}",
        "type": "module",
        "exports": {".": {"types": "./index.d.ts", "default": "./index.js"}},
        "types": "./index.d.ts",
        "engines": {"node": ">=20"},
        "dependencies": {TOKENIZERS.name: TOKENIZERS.version, ENGINE[0]: ENGINE[1]},
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _usage(request: PackageRequest, name: str) -> str:
    return f"""\
```sh
npm pack                                                   # in this folder: one .tgz
ONNXRUNTIME_NODE_INSTALL=skip npm install ./{name}-1.0.0-r{request.manifest.version}.tgz    # in your project
```

```js
import answer from "{name}";
console.log(await answer({example(request)}));
```

`open(options)` gives a model that can be closed, with options of ONNX Runtime, such as `{{ intraOpNumThreads: 2 }}`.
Positions in texts count UTF-16 units, as `slice` does. `ONNXRUNTIME_NODE_INSTALL=skip` keeps the engine from
fetching CUDA."""
