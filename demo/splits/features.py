"""Retrieval: a disfluent question and the fluent question that it was made from."""

import re
from collections.abc import Iterator

from demo.bigbench import Bigbench
from demo.disfluent import DisfluentQuestion
from demo.disfluent import questions as disfluent_questions
from demo.split import Example, Sizes, Splits, normalized, split

MEMBERS = ("squad_shifts/squaddev_v1.1.json", "disfl_qa/task.json")
SIZES = Sizes(evaluation=2000, calibration=256, development=0, per_group=4)
LEAST_SHARED_WORDS = 0.7


def build(source: Bigbench) -> Splits:
    """Pairs in which exactly one question of the paragraph has the same answer and most of the words."""
    used_texts: set[str] = set()
    examples = []
    for question, original in _pairs(source):
        texts = {normalized(question.text), normalized(original)}
        if used_texts.isdisjoint(texts):
            used_texts |= texts
            record = {"text": question.text, "match": original}
            examples.append(Example(record=record, group=question.context, texts=frozenset(texts)))
    return split(examples, SIZES)


def _pairs(source: Bigbench) -> Iterator[tuple[DisfluentQuestion, str]]:
    questions = {paragraph["context"]: paragraph["qas"] for paragraph in source.squad()}
    for question in disfluent_questions(source):
        answer = normalized(question.answer)
        candidates = {
            entry["question"].strip()
            for entry in questions[question.context]
            if any(normalized(other["text"]) == answer for other in entry["answers"])
            and _share(entry["question"], question.text) >= LEAST_SHARED_WORDS
        }
        if len(candidates) == 1:
            yield question, candidates.pop()


def _share(original: str, disfluent: str) -> float:
    """The share of the words of `original` that are also in `disfluent`."""
    words = set(re.findall(r"\w+", original.lower()))
    return len(words & set(re.findall(r"\w+", disfluent.lower()))) / len(words) if words else 0.0
