"""The inputs of a bisection: the variant, the reference graph in float, and the texts."""

from itertools import accumulate
from pathlib import Path

from distilforge.manifest import Manifest, Variant
from distilforge.manifest.configuration import ModelConfiguration
from distilforge.registry import nearest
from distilforge.tokenizer import Tokenizer

from pipeline.errors import UsageError
from pipeline.graph.file import Graph
from pipeline.graph.file import load as load_graph
from pipeline.passes import base, registry
from pipeline.precision.bf16_by_engine import ROUNDED, SETTING
from pipeline.stages import load, origin
from validation import tasks
from validation.answers.accuracy import Evaluation
from validation.data import demo_texts, read
from validation.tasks.base import ReleaseReader

REFERENCE = "fp32"
# Tokens that are run for every module, through both graphs: more would take minutes.
TOKENS = 1024
MOST_EXAMPLES = 256
FEWEST_EXAMPLES = 8
# Passes that change which tokens the outputs of modules hold, or their shapes: both graphs must have them
_COMPARED = ("first_token", "flatten_tokens")
# Comes last, so a reference that was fused without it can have it too
_DROPPING = "drop_padding"
SHAPING = (*_COMPARED, _DROPPING)
# Divides queries elsewhere, so that they are the same in both graphs if both have it
_SCALING = "attention_scale"


def choose(manifest: Manifest, name: str | None, checkpoint: Path | None) -> Variant:
    """The variant called `name`, or the first quantized one.

    Raises UsageError where there is no such variant, where it is a compiled engine, where its precision is not in its
    graph, or where it is the reference.
    """
    variants = {variant.name: variant for variant in manifest.variants if variant.compiled is None}
    quantized = [
        variant
        for variant in variants.values()
        if variant.precision != REFERENCE and not _is_rounded_by_engine(variant)
    ]
    if any(variant.name == name and variant.compiled for variant in manifest.variants):
        raise UsageError(
            f"{name} is an engine, and layers of an engine cannot be exchanged one by one",
            hint="bisect a quantized ONNX variant: "
            f"{', '.join(variant.name for variant in quantized) or 'this release does not have any'}",
        )
    if name in variants and _is_rounded_by_engine(variants[name]):
        raise UsageError(
            f"the graph of {name} is in fp32, and OpenVINO rounds to bf16 while it runs: no layer can be exchanged",
            hint="`distilforge bench` and the report say what its answers cost",
        )
    if name is not None and name not in variants:
        raise UsageError(
            f"{manifest.name} {manifest.version} has no ONNX variant {name!r}",
            hint=nearest(name, tuple(variants)),
        )
    chosen = variants.get(name or "") or next(iter(quantized), None)
    if chosen is None or (chosen.precision == REFERENCE and checkpoint is None):
        raise UsageError(
            f"{manifest.name} {manifest.version} has nothing to bisect: "
            f"{chosen.name if chosen else 'its only variant'} is in fp32, the reference for other variants",
            hint="name a quantized variant with --variant, or compare with a fresh export by --checkpoint",
        )
    return chosen


def reference(folder: Path, manifest: Manifest, checkpoint: Path | None, chosen: Variant) -> Graph:
    """The graph in float that `chosen` is compared with: an export of `checkpoint`, or else the fp32 variant.

    Raises UsageError where there is neither, where modules end in other shapes in every fp32 variant, or where
    `checkpoint` is not the one that the release was built from.
    """
    if checkpoint is not None:
        from model_src import folder as checkpoint_folder
        from model_src.checkpoint import load_checkpoint
        from pipeline.graph.exporter import export

        source = load.source(checkpoint_folder.find(checkpoint, head=manifest.head))
        origin.check_release(checkpoint, source, manifest)
        loaded = load_checkpoint(checkpoint, head=manifest.head, attention="eager")
        exported = export(loaded.model, manifest.spans)
        shaping = [record.name for record in chosen.passes if record.name in (*SHAPING, _SCALING)]
        base.apply(exported, [registry.find(name) for name in shaping])
        return exported
    floats = [
        variant
        for variant in manifest.variants
        if variant.precision == REFERENCE and variant.compiled is None
    ]
    for variant in floats:
        if _compared(variant) == _compared(chosen):
            graph = load_graph(folder / variant.files[0])
            if _drops_padding(chosen) and not _drops_padding(variant):
                base.apply(graph, [registry.find(_DROPPING)])
            return graph
    if floats:
        raise UsageError(
            f"{chosen.name} and {floats[0].name} differ in the pass "
            f"{', '.join(sorted(_compared(chosen) ^ _compared(floats[0])))}, so their modules end in other "
            "shapes and cannot be exchanged",
            hint="compare with the checkpoint that it was built from: --checkpoint ./my-distilbert",
        )
    raise UsageError(
        f"{manifest.name} {manifest.version} has no variant in fp32 to compare with",
        hint="give the checkpoint that it was built from: --checkpoint ./my-distilbert",
    )


def _is_rounded_by_engine(variant: Variant) -> bool:
    """Whether the precision of `variant` is not in its graph, which stays in fp32."""
    return variant.session.get(SETTING) == ROUNDED


def _drops_padding(variant: Variant) -> bool:
    """Whether modules of `variant` hold real tokens only."""
    return any(record.name == _DROPPING for record in variant.passes)


def _compared(variant: Variant) -> frozenset[str]:
    """The passes of `variant` that the reference must have too."""
    return frozenset(record.name for record in variant.passes if record.name in _COMPARED)


def evaluation(folder: Path, manifest: Manifest, data: Path | None) -> Evaluation:
    """Texts of up to TOKENS tokens in total, spread over `data` or over the texts that validation carries.

    Raises UsageError where there is no text, or none fits the model, and DataError for a text of `data` that does not.
    """
    path = demo_texts(manifest.head, "evaluation") if data is None else data
    if path is None:
        raise UsageError(
            f"there are no built-in texts for the head {manifest.head}", hint="give some: --data texts.jsonl"
        )
    task = tasks.find(manifest.head)(
        labels=manifest.labels, problem_type=manifest.problem_type, labelled=data is not None
    )
    examples = read(path, task, manifest.head)
    configuration = ModelConfiguration.from_json((folder / "config.json").read_text(encoding="utf-8"))
    reader = ReleaseReader(
        manifest=manifest, tokenizer=Tokenizer(folder), vocabulary=configuration.vocab_size
    )
    spread = examples[:: max(1, -(-len(examples) // MOST_EXAMPLES))]
    if data is None:
        fitting = Evaluation.of_fitting(task, spread, reader)
        if fitting is None:
            raise UsageError(
                f"none of the {len(spread)} texts in {path} fits the model",
                hint="give shorter ones: --data texts.jsonl",
            )
    else:
        fitting = Evaluation.of(task, spread, reader)
    tokens = [0] * len(fitting.examples)
    for row in fitting.rows:
        tokens[row.example] += row.tokens * len(row.encodings)
    count = sum(total <= TOKENS for total in accumulate(tokens))
    return Evaluation.of(task, fitting.examples[: max(FEWEST_EXAMPLES, count)], reader)
