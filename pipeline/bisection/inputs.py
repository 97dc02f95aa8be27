"""What a bisection starts from: the variant, the graph in float, and the texts."""

from itertools import accumulate
from pathlib import Path

from distilforge.json_fields import Fields
from distilforge.manifest import Manifest, Variant
from distilforge.registry import nearest
from distilforge.tokenizer import Tokenizer

from pipeline.errors import UsageError
from pipeline.graph.file import Graph
from pipeline.graph.file import load as load_graph
from pipeline.passes import base, fusions
from validation import tasks
from validation.accuracy import Evaluation
from validation.data import demo_texts, read
from validation.tasks.base import Served

REFERENCE = "fp32"
# Tokens read for the numbers: every module takes a pass over them, through both graphs.
TOKENS = 1024
MOST_EXAMPLES = 256
FEWEST_EXAMPLES = 8
# Fusions that decide which tokens a module's output holds, and how they lie: both graphs must have them
SHAPING = ("first_token", "flatten_tokens")


def choose(manifest: Manifest, name: str | None, checkpoint: Path | None) -> Variant:
    """The variant to bisect; UsageError where there is none, or where it is the reference itself."""
    variants = {variant.name: variant for variant in manifest.variants if variant.compiled is None}
    quantized = [variant for variant in variants.values() if variant.precision != REFERENCE]
    engine = next((each for each in manifest.variants if each.name == name and each.compiled), None)
    if engine is not None:
        raise UsageError(
            f"{name} is an engine, whose layers cannot be exchanged one by one",
            hint="bisect a quantized ONNX variant: "
            f"{', '.join(each.name for each in quantized) or 'this release has none'}",
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
            f"{chosen.name if chosen else 'its only variant'} is in fp32, which is what others are compared with",
            hint="name a quantized variant with --variant, or compare with a fresh export of --checkpoint",
        )
    return chosen


def reference(folder: Path, manifest: Manifest, checkpoint: Path | None, chosen: Variant) -> Graph:
    """What `chosen` is compared with; UsageError where the release has no fp32 and no checkpoint is given."""
    if checkpoint is not None:
        from model_src.checkpoint import load_checkpoint
        from pipeline.graph.exporter import export

        loaded = load_checkpoint(checkpoint, head=manifest.head, attention="eager")
        exported = export(loaded.model, manifest.spans)
        shaping = [each.name for each in chosen.passes if each.name in SHAPING]
        base.apply(exported, [fusions.find(name) for name in shaping])
        return exported
    for variant in manifest.variants:
        if variant.precision == REFERENCE and variant.compiled is None:
            return load_graph(folder / variant.files[0])
    raise UsageError(
        f"{manifest.name} {manifest.version} has no variant in fp32 to compare with",
        hint="give the checkpoint that it was built from: --checkpoint ./my-distilbert",
    )


def evaluation(folder: Path, manifest: Manifest, data: Path | None) -> Evaluation:
    """As many texts, spread over the data, as come to TOKENS; of one's own texts each has to fit."""
    path = demo_texts(manifest.head, "evaluation") if data is None else data
    if path is None:
        raise UsageError(f"there are no texts here for the head {manifest.head}", hint="give some: --data")
    task = tasks.find(manifest.head)(
        labels=manifest.labels, problem_type=manifest.problem_type, labelled=data is not None
    )
    examples = read(path, task, manifest.head)
    vocabulary = Fields.parse((folder / "config.json").read_text(encoding="utf-8"), "config.json")
    served = Served(
        manifest=manifest, tokenizer=Tokenizer(folder), vocabulary=vocabulary.integer("vocab_size")
    )
    spread = examples[:: max(1, -(-len(examples) // MOST_EXAMPLES))]
    if data is None:
        found = Evaluation.of_those_that_fit(task, spread, served)
        if found is None:
            raise UsageError(
                f"none of the {len(spread)} texts in {path} fits the model", hint="give some: --data"
            )
    else:
        found = Evaluation.of(task, spread, served)
    tokens = [0] * len(found.examples)
    for row in found.rows:
        tokens[row.example] += row.tokens * len(row.encodings)
    enough = sum(total <= TOKENS for total in accumulate(tokens))
    kept = found.examples[: max(FEWEST_EXAMPLES, enough)]
    return Evaluation.of(task, kept, served)
