"""Whether subjects answer the same labels as eager PyTorch, on a trained model and real texts.

    python -m bench.agreement [--checkpoint demo/checkpoints/sentiment] [--subjects openvino-int8,...] [--texts 256]

Speed is timed on random weights, whose labels say little. This prepares the subjects from a trained classifier
instead, and prints for each the share of labels that equal eager's, and the largest difference of a logit. The exit
code is 1 if a share is below the limit, and else 2 if a subject is left out that is not optional and that this machine
can run.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench.command_line import print_progress
from bench.contest import fresh_process, preparation, preparation_process
from bench.contest.base_subject import Logits
from bench.contest.rows import Omission
from bench.cpu.run import INSTALL, REFERENCE_SUBJECT, prepared_subjects
from bench.subjects import Subject, subjects
from bench.texts.batches import batches, read_texts

HEAD = "sequence_classification"
LIMIT = 0.96
"""A share of labels: INT8 may differ where two labels are near, and the demo's model was trained for minutes."""


def in_this_process(name: str, folder: Path, checkpoint: Path, most: int, output: Path) -> None:
    """Write the logits of the subject `name`, which opens `folder`, to `output`: (texts, labels)."""
    answer = subjects.find(name).open(folder, 1)
    texts = batches(read_texts(HEAD, checkpoint, most).encodings(), "arrival")
    np.save(output, np.concatenate([answer(ids, mask).copy() for ids, mask in texts]))


def logits_of_all(
    chosen: Sequence[Subject], checkpoint: Path, most: int
) -> tuple[dict[str, Logits], list[Omission]]:
    """The logits of each of `chosen` that can be prepared, by its name, and those that are left out."""
    with tempfile.TemporaryDirectory() as scratch:
        prepare = partial(
            preparation.prepare,
            registry=preparation_process.CPU,
            checkpoint=checkpoint,
            cache=Path(scratch),
            progress=print_progress,
        )
        rows, omissions = preparation.prepare_all(chosen, prepare, install=INSTALL, progress=print_progress)
        logits: dict[str, Logits] = {}
        for row in rows:
            output = Path(scratch) / f"{row.subject}.npy"
            options = ("--checkpoint", str(checkpoint), "--texts", str(most))
            fresh_process.last_line(
                "bench.agreement", *options, "--answer", row.subject, row.source, str(output)
            )
            logits[row.subject] = np.load(output)
    return logits, omissions


def print_shares(logits: Mapping[str, Logits]) -> float:
    """Print how each subject agrees with eager PyTorch, and return the lowest share of equal labels."""
    reference = logits[REFERENCE_SUBJECT]
    shares = []
    for name, values in logits.items():
        share = float((values.argmax(axis=1) == reference.argmax(axis=1)).mean())
        shares.append(share)
        difference = float(np.abs(values - reference).max())
        print(f"{name:20} {share:7.2%} of {len(values)} labels, largest difference {difference:.3f}")  # noqa: T201
    return min(shares)


def main() -> int:
    """Parse the command line, compare, and return the exit code."""
    parser = argparse.ArgumentParser(description="Share of labels that equal those of eager PyTorch.")
    parser.add_argument("--checkpoint", type=Path, default=Path("demo/checkpoints/sentiment"))
    parser.add_argument("--subjects", default="", help="names, separated by commas; default: all")
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--answer", nargs=3, metavar=("NAME", "FOLDER", "OUTPUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        name, folder, output = arguments.answer
        in_this_process(name, Path(folder), arguments.checkpoint, arguments.texts, Path(output))
        print(json.dumps(name))  # noqa: T201 - the answer to the process that started this one
        return 0
    known = {subject.name: subject for subject in prepared_subjects()}
    wanted = (
        {REFERENCE_SUBJECT, *filter(None, arguments.subjects.split(","))} if arguments.subjects else {*known}
    )
    if unknown := wanted - known.keys():
        parser.error(f"unknown subjects: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    chosen = [subject for name, subject in known.items() if name in wanted]
    logits, omissions = logits_of_all(chosen, arguments.checkpoint, arguments.texts)
    if REFERENCE_SUBJECT not in logits:
        parser.error(f"{REFERENCE_SUBJECT}, which the others are compared with, could not be prepared")
    if print_shares(logits) < LIMIT:
        return 1
    return 0 if all(omission.tolerated for omission in omissions) else 2


if __name__ == "__main__":
    raise SystemExit(main())
