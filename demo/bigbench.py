"""Reading task files out of the bigbench source archive."""

import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict, cast

TASKS = "bigbench-1.0.0/bigbench/benchmark_tasks/"


class TaskExample(TypedDict):
    """One example of a BIG-bench JSON task."""

    input: str
    target: str
    target_scores: Mapping[str, int]


class SquadAnswer(TypedDict):
    """A span of a SQuAD paragraph."""

    text: str
    answer_start: int


class SquadQuestion(TypedDict):
    """A question on a SQuAD paragraph, answered by several annotators."""

    question: str
    answers: list[SquadAnswer]


class SquadParagraph(TypedDict):
    """A Wikipedia paragraph and the questions asked about it."""

    context: str
    qas: list[SquadQuestion]


class SquadArticle(TypedDict):
    """The paragraphs of one Wikipedia article."""

    title: str
    paragraphs: list[SquadParagraph]


class Bigbench:
    """The files of the archive that were asked for, parsed on access."""

    def __init__(self, archive: Path, members: Iterable[str]) -> None:
        """Read `members` (paths under `benchmark_tasks/`) in one pass over the archive.

        Raises:
            FileNotFoundError: the archive is absent, or lacks a member.
        """
        if not archive.is_file():
            raise FileNotFoundError(
                f"{archive} does not exist; get it with `python -m pip download --no-deps --no-binary bigbench "
                f"--dest {archive.parent} bigbench==1.0.0`"
            )
        wanted = {TASKS + member for member in members}
        self._bytes: dict[str, bytes] = {}
        with tarfile.open(archive, "r|gz") as tar:
            for entry in tar:
                if entry.name in wanted and (file := tar.extractfile(entry)) is not None:
                    self._bytes[entry.name.removeprefix(TASKS)] = file.read()
        if missing := wanted - {TASKS + name for name in self._bytes}:
            raise FileNotFoundError(f"{archive} lacks {', '.join(sorted(missing))}; is it bigbench 1.0.0?")

    def examples(self, task: str) -> list[TaskExample]:
        """The examples of a JSON task, in the source's order."""
        return cast(list[TaskExample], json.loads(self._bytes[f"{task}/task.json"])["examples"])

    def squad(self) -> list[SquadParagraph]:
        """The paragraphs of SQuAD 1.1's development set."""
        articles = cast(
            list[SquadArticle], json.loads(self._bytes["squad_shifts/squaddev_v1.1.json"])["data"]
        )
        return [paragraph for article in articles for paragraph in article["paragraphs"]]
