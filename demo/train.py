"""Train deltas on the prepared data: `python -m demo.train --head all`."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers
from torch import nn

from demo import delta as deltas
from demo import encoder, tables, training_table
from demo.assemble import DELTAS, ENCODER_ALONE
from demo.checkpoint import Base
from demo.prepare import COMMITTED, SCRATCH
from demo.training import heads, retrieval
from demo.training.adapters import adapted_model, delta_tensors
from demo.training.loop import evaluate, train
from demo.training.task import Task, read_records

LARGEST_DELTA_BYTES = 4_000_000
SEED = 20
LICENCE = "Apache-2.0; see demo/NOTICE.md for the licences of the training data"


def assembled_model(task: Task, delta: deltas.Delta) -> nn.Module:
    """The model of the checkpoint that `delta` makes, loaded with transformers."""
    with TemporaryDirectory() as scratch:
        base = Base(folder=Path(scratch) / "encoder")
        encoder.write(base.folder)
        base.write_head(delta, Path(scratch) / "head")
        architecture = getattr(transformers, task.architecture)
        model: nn.Module = architecture.from_pretrained(Path(scratch) / "head")
    return model


def train_head(head: str, *, minutes: float, learning_rate: float | None) -> None:
    """Train one head, and write its delta and its results; `learning_rate` is the head's own if it is None."""
    task = heads.find(head)
    learning_rate = learning_rate or task.learning_rate
    records = read_records(SCRATCH / head / "train.jsonl.gz")
    development = read_records(SCRATCH / head / "development.jsonl.gz")
    evaluation = read_records(COMMITTED / head / "evaluation.jsonl.gz")
    items = task.items(records)
    sys.stderr.write(f"{head}: {len(items)} examples, {sum(item.longest for item in items)} tokens\n")
    model = adapted_model(task, SEED)
    task.initialize(model, items)
    outcome = train(task, model, items, development, minutes=minutes, learning_rate=learning_rate, seed=SEED)
    path = DELTAS / f"{head}.safetensors"
    tensors = delta_tensors(outcome.state)
    command = f"python -m demo.train --head {head} --minutes {minutes:g} --learning-rate {learning_rate:g}"

    def write(metric: dict[str, float]) -> deltas.Delta:
        """Write the delta with these metrics, and read it back in fp16."""
        description = deltas.Description(
            head=head,
            architecture=task.architecture,
            base=encoder.REQUIREMENT,
            config=task.config(),
            licence=LICENCE,
            metric=metric,
            seed=SEED,
            command=command,
        )
        deltas.Delta(description=description, tensors=tensors).write(path)
        return deltas.read(path)

    metrics = evaluate(task, assembled_model(task, write({})), evaluation)
    write(metrics)
    if path.stat().st_size > LARGEST_DELTA_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes; lower the rank below {task.rank}")
    report(
        head,
        {
            "chief_metric": task.chief_metric,
            "evaluation": metrics,
            "baselines": task.baselines(records, evaluation),
            "minutes": round(outcome.curve[-1].minutes, 1),
            "ended": "development metric stopped improving" if outcome.early_stopped else "time was over",
            "development_curve": [asdict(point) for point in outcome.curve],
            "command": command,
        },
    )


def measure_again(head: str) -> None:
    """Measure the committed delta of `head` on the committed evaluation set, and write the results."""
    task, path = heads.find(head), DELTAS / f"{head}.safetensors"
    delta = deltas.read(path)
    evaluation = read_records(COMMITTED / head / "evaluation.jsonl.gz")
    metrics = evaluate(task, assembled_model(task, delta), evaluation)
    replace(delta, description=replace(delta.description, metric=metrics)).write(path)
    entry = json.loads(training_table.TRAINING.read_text(encoding="utf-8"))[head]
    baselines = task.baselines(read_records(SCRATCH / head / "train.jsonl.gz"), evaluation)
    report(head, {**entry, "evaluation": metrics, "baselines": baselines})


def measure_encoder() -> None:
    """Measure the encoder without training, and write the results."""
    records = read_records(COMMITTED / ENCODER_ALONE / "evaluation.jsonl.gz")
    report(
        ENCODER_ALONE,
        {
            "chief_metric": "recall_at_1",
            "evaluation": retrieval.metrics(records),
            "baselines": retrieval.baselines(records),
            "minutes": 0,
            "ended": "not trained",
            "command": f"python -m demo.train --head {ENCODER_ALONE}",
        },
    )


def report(head: str, entry: Mapping[str, object]) -> None:
    """Write the results of `head` into training.json and the README; those of other heads stay."""
    entries = (
        json.loads(training_table.TRAINING.read_text(encoding="utf-8"))
        if training_table.TRAINING.exists()
        else {}
    )
    entries[head] = entry
    training_table.TRAINING.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    tables.write_table(training_table.README, training_table.table())
    sys.stderr.write(f"{head}: {entry['evaluation']} against {entry['baselines']}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and train."""
    everything = (ENCODER_ALONE, *heads.names())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", choices=("all", *everything), required=True)
    parser.add_argument("--minutes", type=float, default=45.0, help="the longest time for one head")
    parser.add_argument(
        "--learning-rate", type=float, help="the peak learning rate, in place of the head's own"
    )
    parser.add_argument(
        "--measure-only", action="store_true", help="do not train, but measure the committed deltas"
    )
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    for head in everything if options.head == "all" else (options.head,):
        if head == ENCODER_ALONE:
            measure_encoder()
        elif options.measure_only:
            measure_again(head)
        else:
            train_head(head, minutes=options.minutes, learning_rate=options.learning_rate)


if __name__ == "__main__":
    main()
