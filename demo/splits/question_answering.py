"""Answer spans: questions of SQuAD, their disfluent versions, and Natural Questions with swapped entities."""

import re
from collections.abc import Iterator

from demo.bigbench import Bigbench
from demo.disfluent import locate
from demo.disfluent import questions as disfluent_questions
from demo.split import Example, Sizes, Splits, normalized, split

MEMBERS = (
    "squad_shifts/squaddev_v1.1.json",
    "disfl_qa/task.json",
    "contextual_parametric_knowledge_conflicts/task.json",
)
SIZES = Sizes(evaluation=2000, calibration=256, development=480, per_group=4)
LONGEST_CONTEXT_CHARACTERS = 1500


def build(source: Bigbench) -> Splits:
    """Questions that have an answer, split by paragraph; questions with swapped entities are only for training."""
    return split((*_squad(source), *_disfluent(source), *_swapped_entities(source)), SIZES)


def _example(question: str, context: str, answers: list[dict[str, object]], training_only: bool) -> Example:
    return Example(
        record={"question": question, "context": context, "answers": answers},
        group=normalized(context),
        texts=frozenset({normalized(context), normalized(question)}),
        training_only=training_only,
    )


def _squad(source: Bigbench) -> Iterator[Example]:
    for paragraph in source.squad():
        context = paragraph["context"]
        for entry in paragraph["qas"]:
            spans = dict.fromkeys((answer["text"], answer["answer_start"]) for answer in entry["answers"])
            answers: list[dict[str, object]] = [
                {"text": text, "start": start}
                for text, start in spans
                if context[start : start + len(text)] == text
            ]
            if answers and len(context) <= LONGEST_CONTEXT_CHARACTERS:
                yield _example(entry["question"].strip(), context, answers, training_only=False)


def _disfluent(source: Bigbench) -> Iterator[Example]:
    for question in disfluent_questions(source):
        start = locate(question.answer, question.context)
        if start is not None and len(question.context) <= LONGEST_CONTEXT_CHARACTERS:
            answers: list[dict[str, object]] = [{"text": question.context[start], "start": start.start}]
            yield _example(question.text, question.context, answers, training_only=False)


def _swapped_entities(source: Bigbench) -> Iterator[Example]:
    for entry in source.examples("contextual_parametric_knowledge_conflicts"):
        question, context = entry["input"].removeprefix("\nQuestion:").split("\nContext:", maxsplit=1)
        context = _untokenized(context)
        answer = _untokenized(entry["target"])
        start = context.find(answer)
        if start >= 0 and len(context) <= LONGEST_CONTEXT_CHARACTERS:
            yield _example(
                _untokenized(question), context, [{"text": answer, "start": start}], training_only=True
            )


def _untokenized(text: str) -> str:
    """`text` without the spaces and quotation marks that the Penn Treebank tokenizer added."""
    text = text.replace("``", '"').replace("''", '"')
    text = re.sub(r"\s+([.,;:?!%)\]]|'s\b|n't\b)", r"\1", " ".join(text.split()))
    return re.sub(r"([(\[])\s+", r"\1", text)
