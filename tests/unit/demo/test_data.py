"""The committed data sets: their sizes, their schemas, and that evaluation and calibration share nothing."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.encoder import vocabulary
from demo.prepare import COMMITTED
from demo.split import normalized

Record = dict[str, object]
HEADS = sorted(folder.name for folder in COMMITTED.iterdir() if folder.is_dir())
MOST_BYTES = 6_000_000


def _read(head: str, kind: str) -> list[Record]:
    with gzip.open(COMMITTED / head / f"{kind}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_question(record: Record) -> bool:
    context, answers = record["context"], record["answers"]
    assert isinstance(context, str)
    assert isinstance(answers, list)
    texts_are_there = all(context[a["start"] :].startswith(a["text"]) and a["text"] for a in answers)
    return set(record) == {"question", "context", "answers"} and bool(answers) and texts_are_there


def _is_choice(record: Record) -> bool:
    choices, label = record["choices"], record["label"]
    assert isinstance(choices, list)
    assert isinstance(label, int)
    keys = set(record) == {"context", "choices", "label"}
    return keys and len(set(choices)) == 4 and 0 <= label < 4 and _is_text(record["context"])


def _is_labelled(record: Record) -> bool:
    tokens, labels = record["tokens"], record["labels"]
    assert isinstance(tokens, list)
    assert isinstance(labels, list)
    same_length = len(tokens) == len(labels) <= 80
    return set(record) == {"tokens", "labels"} and same_length and all(map(_is_text, [*tokens, *labels]))


def _is_masked(record: Record) -> bool:
    text, targets = record["text"], record["targets"]
    assert isinstance(text, str)
    assert isinstance(targets, list)
    return bool(targets) and text.count("[MASK]") == len(targets) and vocabulary().issuperset(targets)


SCHEMAS: dict[str, Callable[[Record], bool]] = {
    "features": lambda record: set(record) == {"text", "match"} and all(map(_is_text, record.values())),
    "masked_lm": _is_masked,
    "multiple_choice": _is_choice,
    "question_answering": _is_question,
    "sequence_classification": lambda record: (
        set(record) == {"text", "label"} and all(map(_is_text, record.values()))
    ),
    "token_classification": _is_labelled,
}


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in Path(COMMITTED).rglob("*.gz")) <= MOST_BYTES


def test_every_head_has_data() -> None:
    assert sorted(SCHEMAS) == HEADS


@pytest.mark.parametrize("head", sorted(SCHEMAS))
def test_examples_have_the_schema(head: str) -> None:
    evaluation, calibration = _read(head, "evaluation"), _read(head, "calibration")
    assert len(evaluation) >= 1500
    assert len(calibration) == 256
    assert all(map(SCHEMAS[head], evaluation + calibration))


@pytest.mark.parametrize("head", sorted(SCHEMAS))
def test_evaluation_and_calibration_share_no_text(head: str) -> None:
    evaluation, calibration = (_texts(_read(head, kind)) for kind in ("evaluation", "calibration"))
    assert evaluation.isdisjoint(calibration)


def _texts(records: list[Record]) -> set[str]:
    texts = {value for record in records for value in record.values() if isinstance(value, str)}
    texts |= {" ".join(value) for record in records if isinstance(value := record.get("tokens"), list)}
    choices = (value for record in records if isinstance(value := record.get("choices"), list))
    texts |= {choice for values in choices for choice in values}
    return {normalized(text) for text in texts if len(text) > 12}
