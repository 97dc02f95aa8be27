"""Publishers in several processes at the same time."""

import subprocess
import sys
from pathlib import Path

from distilforge.release import resolve, verify

from tests.unit.pipeline.release.test_publish import names, version_of

ROOT = Path(__file__).parents[4]


def test_publishers_at_once_do_not_corrupt_each_other(tmp_path: Path) -> None:
    """Four processes publish two contents each over and over, and a reader never sees a damaged one."""
    script = f"""
import sys
from pathlib import Path
from tests.unit.pipeline.release.test_publish import put
for turn in range(10):
    number = (turn + int(sys.argv[1])) % 2
    put(Path({str(tmp_path)!r}), f"content {{number}} " * 10000)
"""
    publishers = [
        subprocess.Popen([sys.executable, "-c", script, str(number)], cwd=ROOT) for number in range(4)
    ]
    both = {version_of(f"content {number} " * 10000) for number in range(2)}
    versions_read = set()
    while any(publisher.poll() is None for publisher in publishers):
        latest = tmp_path / "demo" / "latest"
        if latest.is_symlink():
            # Once `latest` is there, it always names a whole release
            versions_read.add(verify(resolve(tmp_path / "demo")).version)
    assert [publisher.returncode for publisher in publishers] == [0] * 4
    assert versions_read <= both
    assert names(tmp_path / "demo") == {*both, "latest"}
    for version in both:
        verify(tmp_path / "demo" / version)
