"""What a run was taken under, in words, on a CPU or a GPU."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pipeline.store import versions
from validation.conditions import processor


def conditions(packages: Iterable[str], details: Mapping[str, str]) -> dict[str, str]:
    """The date, the commit, the processor, `details`, and the versions of our tools and of `packages`."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": versions.git_commit(),
        "processor": processor(),
        **details,
        **versions.tools(),
        **versions.of(*sorted(set(packages))),
    }
