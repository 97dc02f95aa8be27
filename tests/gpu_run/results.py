"""The results of the tests on a GPU by kind, and the table of them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# The longest first, since one contains another
TARGETS = ("onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime-rtx", "tensorrt-rtx", "tensorrt")
_FILE = re.compile(r"test_(\w+)\.py")
_MOST_CHARACTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One test."""

    test: str
    """pytest's name of it."""
    outcome: str
    """passed, failed or skipped."""
    reason: str = ""
    """Why it was skipped."""

    @property
    def kind(self) -> str:
        """The file, and the target that the test is for, if it is for one."""
        file = _FILE.search(self.test)
        name = file[1] if file else self.test
        parameters = self.test.partition("[")[2]
        target = next((target for target in TARGETS if target in parameters), "")
        return f"{name} {target}".rstrip()


def kinds(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results of each kind, in the order of the tests."""
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(result.kind, []).append(result)
    return grouped


def skipped_entirely(results: Iterable[Result], may_skip: Sequence[str]) -> tuple[str, ...]:
    """The kinds of which nothing ran, apart from those whose name has one of `may_skip` among its words."""
    return tuple(
        kind
        for kind, members in kinds(results).items()
        if all(member.outcome == "skipped" for member in members) and not set(kind.split()) & set(may_skip)
    )


def table(results: Sequence[Result]) -> list[str]:
    """A line for each kind: how many tests passed, failed and were skipped, and the reasons."""
    grouped = kinds(results)
    width = max(map(len, ("kind", *grouped)))
    lines = [f"{'kind':<{width}}  passed  failed  skipped  why skipped"]
    for kind, members in grouped.items():
        counts = Counter(member.outcome for member in members)
        reasons = dict.fromkeys(member.reason for member in members if member.outcome == "skipped")
        lines.append(
            f"{kind:<{width}}  {counts['passed']:6}  {counts['failed']:6}  {counts['skipped']:7}  "
            + "; ".join(reasons)[:_MOST_CHARACTERS]
        )
    return [line.rstrip() for line in lines]
