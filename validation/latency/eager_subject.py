"""Eager PyTorch as a subject of a timing, in its own process."""

from pathlib import Path

import torch
from distilforge.timing.feeds import Ids, random_feeds
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner, Subject

from validation.answers.eager import Eager
from validation.reports.report import EAGER


class EagerRunner(Runner):
    """A checkpoint in eager PyTorch that answers random inputs."""

    def __init__(self, eager: Eager, *, choices: int | None) -> None:
        self._eager = eager
        self._choices = choices
        self._feeds: dict[str, Ids] = {}

    def feed(self, shape: Shape) -> None:
        self._feeds = random_feeds(shape, vocabulary=self._eager.config.vocab_size, choices=self._choices)

    def run(self) -> None:
        self._eager.compute(self._feeds)


def subject(checkpoint: Path, head: str, *, choices: int | None, threads: int) -> Subject:
    """The checkpoint with `head`, timed on `threads` threads; `choices` is None for heads without choices."""
    return Subject(
        name=EAGER,
        opener="validation.latency.eager_subject:open_eager",
        arguments={"checkpoint": str(checkpoint), "head": head, "choices": choices, "threads": threads},
    )


def open_eager(checkpoint: str, head: str, choices: int | None, threads: int) -> EagerRunner:
    """Open the subject in its own process; raises the errors of model_src for a checkpoint that does not open."""
    torch.set_num_threads(threads)
    return EagerRunner(Eager(Path(checkpoint), head), choices=choices)
