"""config.pbtxt of Triton's models, as text; triton's model_config.proto is the schema."""

from collections.abc import Sequence
from dataclasses import dataclass

from distilforge.manifest import Manifest, Tensor

_TYPES = {"int64": "TYPE_INT64", "float32": "TYPE_FP32", "float16": "TYPE_FP16"}
_QUEUE_DELAY_MICROSECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TextInput:
    """The input of a model that reads texts."""

    name: str = "text"
    """Its name."""

    def render(self) -> str:
        """The input as config.pbtxt has it; a row has one text, or several that belong together."""
        return f'{{ name: "{self.name}" data_type: TYPE_STRING dims: [ -1 ] }}'


def graph_model(name: str, manifest: Manifest, *, platform: str, file: str) -> str:
    """The configuration of the model that computes; its batches have at most the release's number of texts."""
    blocks = [
        f'name: "{name}"',
        f'platform: "{platform}"',
        f'default_model_filename: "{file}"',
        f"max_batch_size: {manifest.spans['batch'].high}",
        _field("input", [tensor(entry) for entry in manifest.inputs]),
        _field("output", [tensor(entry) for entry in manifest.outputs]),
        f"dynamic_batching {{ max_queue_delay_microseconds: {_QUEUE_DELAY_MICROSECONDS} }}",
        _warm_up(manifest),
    ]
    return "\n".join(blocks) + "\n"


def tokenizer_model(name: str, manifest: Manifest) -> str:
    """The configuration of the model that turns texts into token ids."""
    blocks = [
        f'name: "{name}"',
        'backend: "python"',
        f"max_batch_size: {manifest.spans['batch'].high}",
        _field("input", [TextInput().render()]),
        _field("output", [tensor(entry) for entry in manifest.inputs]),
        "instance_group [ { count: 1 kind: KIND_CPU } ]",
    ]
    return "\n".join(blocks) + "\n"


def ensemble(name: str, manifest: Manifest, *, tokenizer: str, graph: str) -> str:
    """The configuration of the model that takes texts: the tokenizer, and then the graph."""
    ids = [entry.name for entry in manifest.inputs]
    results = [entry.name for entry in manifest.outputs]
    steps = [
        _step(tokenizer, [("text", "text")], [(entry, entry) for entry in ids]),
        _step(graph, [(entry, entry) for entry in ids], [(entry, entry) for entry in results]),
    ]
    blocks = [
        f'name: "{name}"',
        'platform: "ensemble"',
        f"max_batch_size: {manifest.spans['batch'].high}",
        _field("input", [TextInput().render()]),
        _field("output", [tensor(entry) for entry in manifest.outputs]),
        "ensemble_scheduling {\n  step [\n" + ",\n".join(steps) + "\n  ]\n}",
    ]
    return "\n".join(blocks) + "\n"


def tensor(entry: Tensor) -> str:
    """One input or output without its batch axis; a size that differs from request to request is -1."""
    sizes = ", ".join(str(size) if isinstance(size, int) else "-1" for size in entry.shape[1:])
    return f'{{ name: "{entry.name}" data_type: {_TYPES[entry.dtype]} dims: [ {sizes} ] }}'


def _field(name: str, entries: Sequence[str]) -> str:
    return f"{name} [\n  " + ",\n  ".join(entries) + "\n]"


def _step(model: str, inputs: Sequence[tuple[str, str]], outputs: Sequence[tuple[str, str]]) -> str:
    lines = [f'      model_name: "{model}"', "      model_version: -1"]
    lines += [f'      input_map {{ key: "{key}" value: "{value}" }}' for key, value in inputs]
    lines += [f'      output_map {{ key: "{key}" value: "{value}" }}' for key, value in outputs]
    return "    {\n" + "\n".join(lines) + "\n    }"


def _warm_up(manifest: Manifest) -> str:
    """One request of the usual length before the model is ready, so that no user waits for what is done once."""
    lines = []
    for entry in manifest.inputs:
        sizes = ", ".join(
            str(size if isinstance(size, int) else manifest.spans[size].usual) for size in entry.shape[1:]
        )
        lines.append(
            f'  inputs {{ key: "{entry.name}" value {{ data_type: {_TYPES[entry.dtype]} dims: [ {sizes} ] '
            "zero_data: true } }"
        )
    return 'model_warmup [ {\n  name: "usual length"\n  batch_size: 1\n' + "\n".join(lines) + "\n} ]"
