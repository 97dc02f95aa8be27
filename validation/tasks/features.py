"""Embeddings of texts by the encoder without a head."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from distilforge.heads.features import SENTENCE
from distilforge.text.prompts import prompted

from validation.statistics import metrics
from validation.statistics.chance import exchanged
from validation.statistics.metrics import Array, Indices, Score
from validation.tasks.base import Answers, Example, Outputs, ReleaseReader, Row, Task, TextReader, encoded
from validation.tasks.record import Record

TEXT, MATCH = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedText(Example):
    """A text, and perhaps another one that means the same."""

    text: str
    """The text."""
    match: str | None
    """The text that means the same; None where the data do not have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features(Task[MatchedText]):
    """Retrieval accuracy: how often a text's own match is the nearest of all matches, by the cosine of embeddings.

    Matches that the model reads as the same tokens are one match, whatever their case or accents: it cannot tell them
    apart, and rounding would choose among them. A text is not asked for a match of its own tokens: any model finds it.

    An embedding is the one that a sentence-transformers model declares, with its default prompt, or else the mean over
    the tokens: what an application gets by default. Without matches, the metric is the cosine of a text's embedding
    with eager PyTorch's.
    """

    required = frozenset({"text"})
    optional = frozenset({"match"})
    # With fewer matches to choose from, the nearest is more often the right one
    scored_together = True

    def parse(self, record: Record) -> MatchedText:
        return MatchedText(place=record.place, text=record.text("text"), match=record.optional_text("match"))

    def rows(self, example: MatchedText, index: int, reader: TextReader) -> tuple[Row, ...]:
        parts = [(TEXT, example.text)] + ([] if example.match is None else [(MATCH, example.match)])
        prompt = reader.tokenizer.prompts.default
        encodings = [(part, *encoded(prompted(text, prompt), reader)) for part, text in parts]
        return tuple(
            Row(example=index, encodings=(encoding,), part=part, truncated=truncated)
            for part, encoding, truncated in encodings
        )

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        if SENTENCE in outputs:
            embedding_C = outputs[SENTENCE].astype(np.float64)
        else:
            embedding_C = outputs["last_hidden_state"][: row.tokens].astype(np.float64).mean(axis=0)
        unit_C: Array = embedding_C / max(float(np.linalg.norm(embedding_C)), 1e-12)
        return unit_C

    def row_scores(self, row: Row, outputs: Outputs) -> Array:
        return self.reduce(row, outputs)

    def score_change(self, before: Array, after: Array) -> float:
        # No cosine with another text's embedding can change by more than the distance of the two unit vectors.
        return float(np.linalg.norm(before - after))

    def cosines(self, answers: Answers, eager: Answers) -> Array:
        texts_NC, expected_NC = np.stack(answers.of_part(TEXT)), np.stack(eager.of_part(TEXT))
        # What all texts have in common says nothing of any of them, and in large models it is most of a vector
        # (Mu and Viswanath 2018). Eager's mean is taken from both sides, so that a constant error counts.
        common_C = expected_NC.mean(axis=0) if len(expected_NC) > 1 else 0.0
        return _cosines(texts_NC - common_C, expected_NC - common_C)

    def scores(
        self, examples: Sequence[MatchedText], answers: Answers, eager: Answers, reader: ReleaseReader
    ) -> tuple[Score, ...]:
        pairs = (np.stack(answers.of_part(TEXT)), np.stack(eager.of_part(TEXT)))
        cosine = metrics.mean("embedding cosine", _cosines(*pairs))
        if not _is_retrieval(answers.rows):
            return (cosine,)
        own_Q, _ = _candidates(answers)
        correct_Q = self.decisions(examples, answers, reader) == own_Q
        return metrics.mean("retrieval accuracy", correct_Q.astype(np.float64)), cosine

    def unjudged(self, rows: Sequence[Row]) -> str:
        matches = [row for row in rows if row.part == MATCH]
        alone = len(matches) - len(_asked(rows))
        if not matches or _is_retrieval(rows):
            return (
                f"{alone:,} of {len(matches):,} texts were not asked for their match, in which the model reads the "
                "same tokens: any model finds it."
                if alone
                else ""
            )
        if len(set(_numbers(matches))) > 1:
            return (
                f"Retrieval was not judged, only the embeddings: the model reads the same tokens in all {alone:,} "
                "texts as in their matches, so any model finds these. Give matches in other words."
            )
        cut = ", as they are cut off" if any(row.truncated for row in matches) else ""
        alike = f"the model reads the same tokens in all {len(matches):,} matches{cut}"
        return (
            f"Retrieval was not judged, only the embeddings: {alike if len(matches) > 1 else 'there is one match'}, so "
            "no match can be nearer than another. Give matches that differ in the tokens that the model reads."
        )

    def beside_other_truths(
        self, examples: Sequence[MatchedText], answers: Answers
    ) -> tuple[Sequence[MatchedText], Answers] | None:
        """Every match beside the embedding of another text."""
        if not _is_retrieval(answers.rows):
            return None
        places = [place for place, row in enumerate(answers.rows) if row.part == TEXT]
        arrays = list(answers.arrays)
        for place, other in zip(places, exchanged(len(places)), strict=True):
            arrays[place] = answers.arrays[places[other]]
        return examples, replace(answers, arrays=tuple(arrays))

    def decisions(self, examples: Sequence[MatchedText], answers: Answers, reader: ReleaseReader) -> Indices:
        if not _is_retrieval(answers.rows):
            return np.zeros(0, dtype=np.int64)
        _, candidates_MC = _candidates(answers)
        texts = answers.of_part(TEXT)
        queries_QC = np.stack([texts[example] for example in _asked(answers.rows)])
        nearest_Q: Indices = (queries_QC @ candidates_MC.T).argmax(axis=1)
        return nearest_Q


def _cosines(vectors_NC: Array, others_NC: Array) -> Array:
    """The cosine of each vector with the other one of the same row."""
    lengths_N = np.linalg.norm(vectors_NC, axis=1) * np.linalg.norm(others_NC, axis=1)
    cosines_N: Array = (vectors_NC * others_NC).sum(axis=1) / np.maximum(lengths_N, 1e-12)
    return cosines_N


def _candidates(answers: Answers) -> tuple[Indices, Array]:
    """The number of the own match of each text that is asked, and the embeddings of all different matches by number.

    Matches of the same token ids are one.
    """
    matches = [row for row in answers.rows if row.part == MATCH]
    numbers = _numbers(matches)
    _, first_M = np.unique(numbers, return_index=True)
    asked = set(_asked(answers.rows))
    examples = sorted(row.example for row in matches)
    own_Q = numbers[[place for place, example in enumerate(examples) if example in asked]]
    return own_Q, np.stack(answers.of_part(MATCH))[first_M]


def _is_retrieval(rows: Sequence[Row]) -> bool:
    """Whether some text is asked for its match, and there are different matches to choose from."""
    return bool(_asked(rows)) and len(set(_numbers([row for row in rows if row.part == MATCH]))) > 1


def _asked(rows: Sequence[Row]) -> list[int]:
    """The examples with a match of other token ids than the text's, in rising order."""
    matches = {row.example: row for row in rows if row.part == MATCH}
    return sorted(
        row.example
        for row in rows
        if row.part == TEXT
        and row.example in matches
        and row.encodings[0].ids != matches[row.example].encodings[0].ids
    )


def _numbers(matches: Sequence[Row]) -> Indices:
    """A number for each of `matches`, in the order of their examples; those of the same token ids have the same one."""
    numbers: dict[tuple[int, ...], int] = {}
    in_order = sorted(matches, key=lambda row: row.example)
    return np.asarray(
        [numbers.setdefault(tuple(row.encodings[0].ids), len(numbers)) for row in in_order], dtype=np.int64
    )
