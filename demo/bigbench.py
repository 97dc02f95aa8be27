"""Read task files from the source archive of bigbench."""

import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict, cast

TASKS = "bigbench-1.0.0/bigbench/benchmark_tasks/"


class TaskExample(TypedDict):
    """An example of a BIG-bench JSON task."""

    input: str
    """The prompt."""
    target: str
    """The expected answer, in tasks that have one."""
    target_scores: Mapping[str, int]
    """The choices, in tasks that have choices; the right one has the score 1."""


class SquadAnswer(TypedDict):
    """A span of a SQuAD paragraph."""

    text: str
    """The span."""
    answer_start: int
    """The index of its first character in the paragraph."""


class SquadQuestion(TypedDict):
    """A question about a SQuAD paragraph."""

    question: str
    """The question."""
    answers: list[SquadAnswer]
    """The answers of several annotators."""


class SquadParagraph(TypedDict):
    """A Wikipedia paragraph and the questions about it."""

    context: str
    """The paragraph."""
    qas: list[SquadQuestion]
    """The questions with their answers."""


class SquadArticle(TypedDict):
    """The paragraphs of a Wikipedia article."""

    title: str
    """The title of the article."""
    paragraphs: list[SquadParagraph]
    """The paragraphs in order."""


class Bigbench:
    """Some files of the archive, which are parsed on access."""

    def __init__(self, archive: Path, members: Iterable[str]) -> None:
        """Read `members`, paths in `benchmark_tasks/`, in one pass over the archive.

        Raises FileNotFoundError if the archive or a member does not exist.
        """
        if not archive.is_file():
            raise FileNotFoundError(
                f"{archive} does not exist; get it with `python -m pip download --no-deps --no-binary bigbench "
                f"--dest {archive.parent} bigbench==1.0.0`"
            )
        names = {TASKS + member for member in members}
        self._bytes: dict[str, bytes] = {}
        with tarfile.open(archive, "r|gz") as tar:
            for entry in tar:
                if entry.name in names and (file := tar.extractfile(entry)) is not None:
                    self._bytes[entry.name.removeprefix(TASKS)] = file.read()
        if missing := names - {TASKS + name for name in self._bytes}:
            raise FileNotFoundError(
                f"{archive} does not contain {', '.join(sorted(missing))}; check that it is bigbench 1.0.0"
            )

    def examples(self, task: str) -> list[TaskExample]:
        """The examples of a JSON task, in the order of the archive."""
        return cast(list[TaskExample], json.loads(self._bytes[f"{task}/task.json"])["examples"])

    def squad(self) -> list[SquadParagraph]:
        """The paragraphs of the development set of SQuAD 1.1."""
        articles = cast(
            list[SquadArticle], json.loads(self._bytes["squad_shifts/squaddev_v1.1.json"])["data"]
        )
        return [paragraph for article in articles for paragraph in article["paragraphs"]]
