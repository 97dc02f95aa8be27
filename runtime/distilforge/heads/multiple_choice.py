"""Choose the option that fits a context best."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np

from distilforge.checks.arguments import Truncation, check_string, one_or_many
from distilforge.errors import InputError
from distilforge.heads import heads
from distilforge.logits.probabilities import softmax
from distilforge.session import Session
from distilforge.streaming import LOOK_AHEAD, stream
from distilforge.text.batching import batches, pad
from distilforge.tokenizer import Encoding

ChoiceQuestion = tuple[str, Sequence[str]]
"""A context and its options."""
T = TypeVar("T", bound=ChoiceQuestion)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenOption:
    """The option that fits the context best."""

    index: int
    """The option's index in the options that were passed."""
    text: str
    """The option's text."""
    scores: tuple[float, ...]
    """The probability of each option, from 0 to 1, in the order in which the options were passed."""

    @property
    def score(self) -> float:
        """The probability of the chosen option, from 0 to 1."""
        return self.scores[self.index]


@heads.register("multiple_choice")
class MultipleChoice(Session):
    """Chooses among options, each of which is read together with the context."""

    architecture = "DistilBertForMultipleChoice"
    output_axes = {"logits": ("batch", "choices")}
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
        """Choose the best option for a (context, [option, ...]), or for each of a list of them.

        Args:
            inputs: one tuple gives one result, a list gives a list of results in the same order. Questions of one
                list may have different numbers of options.
            truncation: "error" refuses a context and option that are too long together, "truncate" shortens the
                longer of the two first.

        Raises:
            InputError: an input is not a context with options, has fewer or more options than
                `session.manifest.spans["choices"]` allows, or is too long.
        """
        return one_or_many(inputs, lambda questions: self._answer(questions, truncation))

    def stream(
        self,
        inputs: Iterable[ChoiceQuestion],
        *,
        look_ahead: int = LOOK_AHEAD,
        truncation: Truncation = "error",
    ) -> Iterator[ChosenOption]:
        """Answer more inputs than fit into memory, one after another, in order.

        `look_ahead` inputs at a time are taken from `inputs` and answered together; the other options are those of a
        call. InputError for an input that cannot be answered has its position, and comes after the answers before it.
        """

        def answer(values: list[ChoiceQuestion]) -> list[ChosenOption]:
            return self(values, truncation=truncation)

        return stream(inputs, answer, look_ahead)

    def _answer(self, questions: list[object], truncation: Truncation) -> list[ChosenOption]:
        checked = [self._check(question, row) for row, question in enumerate(questions)]
        pairs = [(context, option) for context, options in checked for option in options]
        encodings = self._encodings(pairs, truncation, name="context and option")
        encodings_by_row: list[list[Encoding]] = []
        for _, options in checked:
            encodings_by_row.append(encodings[: len(options)])
            encodings = encodings[len(options) :]
        results: dict[int, ChosenOption] = {}
        pad_id, low = self._loaded.tokenizer.special_id("pad"), self._span("sequence").low
        for rows in self._rows(encodings_by_row):
            flat = pad(
                [encoding for row in rows for encoding in encodings_by_row[row]], pad_id=pad_id, at_least=low
            )
            feeds = {name: array.reshape(len(rows), -1, array.shape[-1]) for name, array in flat.items()}
            for row, logits in zip(rows, self._floats(feeds, "logits"), strict=True):
                scores = softmax(logits)
                best = int(np.argmax(scores))
                results[row] = ChosenOption(
                    index=best, text=checked[row][1][best], scores=tuple(float(score) for score in scores)
                )
        return [results[row] for row in range(len(checked))]

    def _rows(self, encodings_by_row: list[list[Encoding]]) -> Iterator[tuple[int, ...]]:
        """Rows of questions to answer together: with the same number of options, and of similar length."""
        for count in sorted({len(options) for options in encodings_by_row}):
            same = [row for row, options in enumerate(encodings_by_row) if len(options) == count]
            # A question with four options fills four rows of the batch
            lengths = [count * max(map(len, encodings_by_row[row])) for row in same]
            for indices in batches(lengths, self._span("batch"), self._span("sequence")):
                yield tuple(same[index] for index in indices)

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
                f"{where} has {len(question[1])} options; this release takes {span.low} to {span.high}",
                hint="`session.manifest.spans['choices']` has these bounds",
            )
        context = check_string(question[0], f"the context of {where}")
        return context, [
            check_string(option, f"option {index} of {where}") for index, option in enumerate(question[1])
        ]
