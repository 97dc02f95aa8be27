"""Pushes one release, in a process that somebody may kill: `python -m tests.store_kills.publisher RELEASE URL`."""

import sys
from pathlib import Path

from pipeline.remote.find import find_publisher
from pipeline.remote.push import push

READY, DONE = "ready", "done"


def main() -> None:
    release, url = sys.argv[1:]
    # Imports are not what is to be killed
    find_publisher(url, lambda _: None).check("small")
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    push(Path(release), url, lambda _: None)
    sys.stdout.write(f"{DONE}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
