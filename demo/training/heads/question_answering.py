"""Training the extraction of answer spans."""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from tokenizers import Encoding
from torch import Tensor, nn

from demo.encoder import tokenizer
from demo.training.task import Batch, Item, Record, in_order

LONGEST_INPUT_TOKENS = 384
LONGEST_TRAINING_CONTEXT_TOKENS = 160
LONGEST_ANSWER_TOKENS = 30
IN_CONTEXT = 1


class QuestionAnswering:
    """Cross entropy over the positions of the answer's first and last word piece."""

    head = "question_answering"
    architecture = "DistilBertForQuestionAnswering"
    chief_metric = "f1"
    dropout = 0.0
    tokens_per_batch = 3072
    rank = 40
    learning_rate = 7e-4

    def config(self) -> dict[str, object]:
        """No fields: the two outputs are start and end."""
        return {}

    def items(self, records: Sequence[Record]) -> list[Item]:
        """The question and the context in one row; a long context is cut to a window that contains the answer."""
        random = np.random.default_rng(0)
        items = []
        for encoding, record in zip(_encodings(records), records, strict=True):
            answer = _answers(record)[0]
            start = cast(int, answer["start"])
            span = _pieces_of(encoding, start, start + len(str(answer["text"])))
            if span is not None:
                items.append(_window(encoding, *span, random))
        return items

    def initialize(self, model: nn.Module, items: Sequence[Item]) -> None:
        """Random weights are kept."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean of both cross entropies; as in transformers, padding is not left out."""
        output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        targets = torch.tensor(batch.targets)
        start = nn.functional.cross_entropy(output.start_logits.float(), targets[:, 0])
        end = nn.functional.cross_entropy(output.end_logits.float(), targets[:, 1])
        return (start + end) / 2

    def metrics(self, model: nn.Module, records: Sequence[Record]) -> dict[str, float]:
        """Exact match and F1 by the rules of SQuAD 1.1 (Rajpurkar and others 2016), for the best of several answers."""
        encodings = _encodings(records)
        items = [
            Item(rows=(tuple(encoding.ids[:LONGEST_INPUT_TOKENS]),), target=()) for encoding in encodings
        ]
        predicted = [""] * len(items)
        for places, batch in in_order(items):
            output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
            starts, ends = output.start_logits.float().numpy(), output.end_logits.float().numpy()
            for row, place in enumerate(places):
                first, last = _best_span(encodings[place], starts[row], ends[row])
                offsets = encodings[place].offsets
                predicted[place] = str(records[place]["context"])[offsets[first][0] : offsets[last][1]]
        return _scores(predicted, records)

    def baselines(self, train: Sequence[Record], records: Sequence[Record]) -> dict[str, float]:
        """A random span of up to five words, and the most common capitalized word of the context."""
        random = np.random.default_rng(0)
        guesses, capitals = [], []
        for record in records:
            words = str(record["context"]).split()
            start = int(random.integers(len(words)))
            guesses.append(" ".join(words[start : start + int(random.integers(1, 6))]))
            names = Counter(word for word in words[1:] if word[0].isupper()) or Counter(words)
            capitals.append(names.most_common(1)[0][0])
        chance, majority = _scores(guesses, records), _scores(capitals, records)
        return {f"chance_{name}": value for name, value in chance.items()} | {
            f"majority_{name}": value for name, value in majority.items()
        }


TASK = QuestionAnswering()


def _answers(record: Record) -> list[Mapping[str, object]]:
    return cast(list[Mapping[str, object]], record["answers"])


def _encodings(records: Sequence[Record]) -> list[Encoding]:
    pairs = [(str(record["question"]), str(record["context"])) for record in records]
    return cast(list[Encoding], tokenizer().encode_batch(pairs))


def _pieces_of(encoding: Encoding, start: int, end: int) -> tuple[int, int] | None:
    first, last = encoding.char_to_token(start, IN_CONTEXT), encoding.char_to_token(end - 1, IN_CONTEXT)
    return None if first is None or last is None else (first, last)


def _window(encoding: Encoding, first: int, last: int, random: np.random.Generator) -> Item:
    """The question, and a window of the context around the word pieces `first` to `last` of the answer."""
    begin = encoding.sequence_ids.index(IN_CONTEXT)
    end = len(encoding.ids) - 1
    size = max(LONGEST_TRAINING_CONTEXT_TOKENS, last - first + 1)
    if end - begin > size:
        lowest, highest = max(begin, last + 1 - size), min(first, end - size)
        left = int(random.integers(lowest, highest + 1))
    else:
        left, size = begin, end - begin
    row = (*encoding.ids[:begin], *encoding.ids[left : left + size], encoding.ids[-1])
    shift = begin - left
    return Item(rows=(row,), target=(first + shift, last + shift))


def _best_span(encoding: Encoding, start: np.ndarray, end: np.ndarray) -> tuple[int, int]:
    """The span of the context, of at most LONGEST_ANSWER_TOKENS word pieces, with the highest sum of logits."""
    length = min(len(encoding.ids), LONGEST_INPUT_TOKENS)
    places = [index for index in range(length) if encoding.sequence_ids[index] == IN_CONTEXT]
    low, high = places[0], places[-1] + 1
    sums = start[low:high, None] + end[None, low:high]
    allowed = np.triu(np.ones_like(sums, dtype=bool)) & ~np.triu(
        np.ones_like(sums, dtype=bool), LONGEST_ANSWER_TOKENS
    )
    first, last = np.unravel_index(np.where(allowed, sums, -np.inf).argmax(), sums.shape)
    return low + int(first), low + int(last)


def _normalized(text: str) -> list[str]:
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def _f1(predicted: list[str], truth: list[str]) -> float:
    shared = sum((Counter(predicted) & Counter(truth)).values())
    return 2 * shared / (len(predicted) + len(truth)) if shared else 0.0


def _scores(predicted: Sequence[str], records: Sequence[Record]) -> dict[str, float]:
    exact, f1 = [], []
    for text, record in zip(predicted, records, strict=True):
        words = _normalized(text)
        truths = [_normalized(str(answer["text"])) for answer in _answers(record)]
        exact.append(max(float(words == truth) for truth in truths))
        f1.append(max(_f1(words, truth) for truth in truths))
    return {"f1": float(np.mean(f1)), "exact_match": float(np.mean(exact))}
