"""The commit in a release's provenance."""

import subprocess
from pathlib import Path

from pipeline.store import versions


def test_the_commit_is_the_one_that_git_names() -> None:
    root = Path(versions.__file__).parent
    git = ["git", "-C", str(root)]
    tracked = subprocess.run(
        [*git, "ls-files", "--error-unmatch", "versions.py"], capture_output=True, check=False
    )
    named = versions.git_commit()
    if tracked.returncode:
        assert named == "unknown"
    else:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        assert named in (commit, f"{commit}+changes")
