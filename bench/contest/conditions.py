"""The conditions of a run, for readers."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from bench.contest.base_subject import BaseSubject
from pipeline.store import versions
from validation.latency.conditions import processor


def conditions(subjects: Iterable[BaseSubject], details: Mapping[str, str]) -> dict[str, str]:
    """The date, the commit, the processor, `details`, and the versions of tools and of the subjects' packages."""
    packages = {package for subject in subjects for package in subject.packages}
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": versions.git_commit(),
        "processor": processor(),
        **details,
        **versions.tools(),
        **versions.of(*sorted(packages)),
    }
