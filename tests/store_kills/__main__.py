"""`python -m tests.store_kills`: kill publishers to a folder, an S3 server and a registry on this machine."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.store_kills.kill import kills
from tests.store_servers import BUCKET, registry_server, s3_server, why_no_registry, why_no_s3

# A publisher may have finished before its random moment comes
_MOST_TRIES = 6


@contextmanager
def _folder(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield str(folder / "store"), {}


@contextmanager
def _s3(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    with s3_server(folder) as environment:
        yield f"s3://{BUCKET}/small", environment


@contextmanager
def _registry(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    with registry_server(folder) as url:
        yield f"{url}/models/small", {}


STORES = {"folder": (_folder, lambda: ""), "s3": (_s3, why_no_s3), "oci": (_registry, why_no_registry)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=STORES, action="append", help="default: all of them")
    parser.add_argument("--times", type=int, default=20, help="how many to kill before they finish")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.store or STORES:
        start, why_not = STORES[name]
        if reason := why_not():
            _say(f"{name}: skipped, {reason}")
            continue
        with tempfile.TemporaryDirectory() as temporary, start(Path(temporary)) as (url, environment):
            os.environ.update(environment, XDG_CACHE_HOME=str(Path(temporary) / "cache"))
            seen: list[str] = []
            pushes = 0
            for kill in kills(
                url, Path(temporary), environment, times=options.times * _MOST_TRIES, seed=options.seed
            ):
                _say(f"{name}: {kill}")
                pushes += 1
                seen += [] if kill.finished else [kill.seen]
                if len(seen) == options.times:
                    break
            counts = ", ".join(f"{seen.count(kind)} {kind}" for kind in sorted(set(seen)))
            _say(
                f"{name}: {len(seen)} of {pushes} publishers killed in a push; readers saw {counts}; nothing else"
            )
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
