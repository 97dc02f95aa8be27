"""Quick validations of tiny releases: labelled data drawn at random, gates, and the checks that failed."""

import json
from pathlib import Path

import numpy as np

from tests.runtime_release import LABELS, published
from validation.gates import Gates
from validation.reports.report import Report, VariantReport
from validation.validate import validate

# Latency is measured as briefly as possible and never asserted. If none of 40 examples differs, the upper end of the
# loss is 0.075 at one look.
GATES = Gates(looks=1, margin=0.1, shapes=((1, 8),), seconds_per_shape=0.0, threads=1)
WORDS = "good bad great movie film plot food hotel room service doctor king city river game team".split()


def evaluation(head: str, folder: Path, examples: int = 40) -> Path:
    """Labelled data of `head`, with random words from the tiny vocabulary."""
    random = np.random.default_rng(3)

    def text(count: int) -> str:
        return " ".join(str(word) for word in random.choice(WORDS, count))

    def record() -> dict[str, object]:
        if head == "features":
            return {"text": text(4), "match": text(5)}
        if head == "masked_lm":
            return {"text": f"{text(3)} [MASK] {text(2)} [MASK]", "targets": [text(1), text(1)]}
        if head == "sequence_classification":
            return {"text": text(int(random.integers(1, 9))), "label": str(random.choice(LABELS[head]))}
        if head == "token_classification":
            return {"tokens": text(6).split(), "labels": [str(random.choice(LABELS[head])) for _ in range(6)]}
        if head == "question_answering":
            context = text(70)  # more than one window
            answer = context.split()[3]
            return {
                "question": text(3),
                "context": context,
                "answers": [{"text": answer, "start": context.index(answer)}]
                if random.random() < 0.8
                else [],
            }
        if head == "multiple_choice":
            return {
                "context": text(4),
                "choices": [text(2) for _ in range(int(random.integers(2, 5)))],
                "label": int(random.integers(2)),
            }
        raise ValueError(f"there are no made-up examples for the head {head!r}; write some here")

    path = folder / "evaluation.jsonl"
    path.write_text("".join(json.dumps(record()) + "\n" for _ in range(examples)), encoding="utf-8")
    return path


def validated(head: str, release: Path, data: Path | None, gates: Gates = GATES) -> Report:
    """The report on `release`, compared with the checkpoint of the same head."""
    checkpoint = published(head, LABELS.get(head, ())).checkpoint
    return validate(release, checkpoint, head, evaluation=data, gates=gates, progress=lambda line: None)


def failed(variant: VariantReport) -> set[str]:
    """The checks that the variant failed, without the numbers in their names."""
    return {verdict.check.partition(",")[0] for verdict in variant.verdicts if not verdict}
