"""Retrieval: a disfluent question and the question that it was meant to be."""

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
    """Pairs in which exactly one of the paragraph's questions has that answer and those words."""
    seen: set[str] = set()
    examples = []
    for question, original in _pairs(source):
        texts = {normalized(question.text), normalized(original)}
        if seen.isdisjoint(texts):
            seen |= texts
            record = {"text": question.text, "match": original}
            examples.append(Example(record=record, group=question.context, texts=frozenset(texts)))
    return split(examples, SIZES)


def _pairs(source: Bigbench) -> Iterator[tuple[DisfluentQuestion, str]]:
    asked = {paragraph["context"]: paragraph["qas"] for paragraph in source.squad()}
    for question in disfluent_questions(source):
        answer = normalized(question.answer)
        candidates = {
            entry["question"].strip()
            for entry in asked[question.context]
            if any(normalized(given["text"]) == answer for given in entry["answers"])
            and _share(entry["question"], question.text) >= LEAST_SHARED_WORDS
        }
        if len(candidates) == 1:
            yield question, candidates.pop()


def _share(original: str, disfluent: str) -> float:
    words = set(re.findall(r"\w+", original.lower()))
    return len(words & set(re.findall(r"\w+", disfluent.lower()))) / len(words) if words else 0.0
