"""The option that fits a context best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np

from distilforge.batching import batches, pad
from distilforge.errors import InputError
from distilforge.heads import heads
from distilforge.inputs import Truncation, check_string, one_or_many
from distilforge.probabilities import softmax
from distilforge.session import Session
from distilforge.tokenizer import Encoding

ChoiceQuestion = tuple[str, Sequence[str]]
T = TypeVar("T", bound=ChoiceQuestion)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenOption:
    """The chosen option's position and text; `scores` are the probabilities of all options, in the order passed."""

    index: int
    text: str
    scores: tuple[float, ...]

    @property
    def score(self) -> float:
        """The chosen option's probability."""
        return self.scores[self.index]


@heads.register("multiple_choice")
class MultipleChoice(Session):
    """Chooses among options, each read together with the context."""

    example_inputs = '[("A context.", ["One option.", "Another option."])]'

    @overload
    def __call__(self, inputs: ChoiceQuestion, *, truncation: Truncation = "error") -> ChosenOption: ...
    @overload
    def __call__(self, inputs: list[T], *, truncation: Truncation = "error") -> list[ChosenOption]: ...
    def __call__(
        self,
        inputs: ChoiceQuestion | Sequence[ChoiceQuestion],
        *,
        truncation: Truncation = "error",
    ) -> ChosenOption | list[ChosenOption]:
        """The choice for a (context, [option, ...]), or for each of a list of them.

        Raises InputError for other shapes, for fewer or more options than the release takes and, unless
        `truncation` is "truncate", for a context and option that are too long together.
        """
        return one_or_many(inputs, lambda questions: self._answer(questions, truncation))

    def _answer(self, questions: list[object], truncation: Truncation) -> list[ChosenOption]:
        checked = [self._check(question, row) for row, question in enumerate(questions)]
        pairs = [(context, option) for context, options in checked for option in options]
        encodings = self._encodings(pairs, truncation, name="context and option")
        owned: list[list[Encoding]] = []
        for _, options in checked:
            owned.append(encodings[: len(options)])
            encodings = encodings[len(options) :]
        results: dict[int, ChosenOption] = {}
        pad_id, low = self._loaded.tokenizer.special_id("pad"), self._span("sequence").low
        for rows in self._rows(owned):
            flat = pad([encoding for row in rows for encoding in owned[row]], pad_id=pad_id, at_least=low)
            feeds = {name: array.reshape(len(rows), -1, array.shape[-1]) for name, array in flat.items()}
            for row, logits in zip(rows, self._floats(feeds, "logits"), strict=True):
                scores = softmax(logits)
                best = int(np.argmax(scores))
                results[row] = ChosenOption(
                    index=best, text=checked[row][1][best], scores=tuple(float(score) for score in scores)
                )
        return [results[row] for row in range(len(checked))]

    def _rows(self, owned: list[list[Encoding]]) -> Iterator[tuple[int, ...]]:
        """Questions that go together: as many options, and of similar length."""
        for count in sorted({len(options) for options in owned}):
            same = [row for row, options in enumerate(owned) if len(options) == count]
            # A question with four options takes the slots of four rows.
            lengths = [count * max(map(len, owned[row])) for row in same]
            for chosen in batches(lengths, self._span("batch"), self._span("sequence")):
                yield tuple(same[index] for index in chosen)

    def _check(self, question: object, row: int) -> tuple[str, list[str]]:
        where = f"input {row}"
        if (
            not isinstance(question, tuple)
            or len(question) != 2
            or not isinstance(question[1], (list, tuple))
        ):
            raise InputError(
                f"{where} must be (context, [option, ...]), found {question!r:.80}",
                hint="pass many inputs as a list",
            )
        span = self._span("choices")
        if len(question[1]) not in span:
            raise InputError(
                f"{where} has {len(question[1])} options; this release takes {span.low} to {span.high}"
            )
        context = check_string(question[0], f"the context of {where}")
        return context, [
            check_string(option, f"option {index} of {where}") for index, option in enumerate(question[1])
        ]
