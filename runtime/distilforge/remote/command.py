"""The arguments of `pull` and `releases`, and the table of releases."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from distilforge.remote.find import find_store
from distilforge.remote.index import Index
from distilforge.remote.pull import Pull, current_index, pull
from distilforge.remote.retries import Tell
from distilforge.status_line import StatusLine

_URL = (
    "where the releases are: a folder, s3://, https:// or another that fsspec opens, oci://REGISTRY/REPOSITORY, or "
    "hf://ORGANISATION/NAME"
)
_COLUMNS = ("VERSION", "CHANNELS", "CREATED", "PUSHED", "SIZE", "SIGNED", "VALIDATED")

Command = Callable[[argparse.Namespace], str]


def _folder(path: str) -> Path:
    """The path of a folder, for argparse."""
    if not path:
        raise argparse.ArgumentTypeError("name a folder: the empty path is the current one")
    return Path(path)


def add_parsers(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    program: str,
    pull_command: Command,
    releases_command: Command,
) -> None:
    """Add the parsers of `pull` and `releases`, which call these commands."""
    pull_parser = commands.add_parser(
        "pull",
        help="download a release, and check every file of it",
        description="Download a release into OUTPUT/VERSION, check every file of it, and make OUTPUT/latest name it. "
        "distilforge.open(OUTPUT) then opens it. A download that was interrupted goes on where it was, and files that "
        "were downloaded before are taken from this user's cache.",
        epilog=f"Example: {program} pull s3://models/sentiment --channel stable --key publisher.pem --output sentiment",
        allow_abbrev=False,
    )
    pull_parser.set_defaults(
        command=pull_command, interrupted="interrupted; run the same command again to continue"
    )
    pull_parser.add_argument("url", metavar="URL", help=_URL)
    pull_parser.add_argument(
        "--output",
        metavar="DIR",
        type=_folder,
        required=True,
        help="the folder for the versions of this release",
    )
    which = pull_parser.add_mutually_exclusive_group()
    which.add_argument(
        "--channel", metavar="NAME", help="the channel that names the version; default: latest"
    )
    which.add_argument("--version", metavar="VERSION", help="a version, as `releases` prints it")
    pull_parser.add_argument(
        "--key",
        metavar="TRUSTED.pem",
        type=Path,
        help="the publisher's public key or certificate: the release must be signed by it; needs pip install "
        "'distilforge[trust]'",
    )
    pull_parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    releases_parser = commands.add_parser(
        "releases",
        help="list the versions and channels at a URL",
        description="List the versions at a URL, the last one that was pushed first, with the channels that name them.",
        epilog=f"Example: {program} releases s3://models/sentiment",
        allow_abbrev=False,
    )
    releases_parser.set_defaults(command=releases_command, interrupted="interrupted")
    releases_parser.add_argument("url", metavar="URL", help=_URL)
    releases_parser.add_argument("--json", action="store_true", help="print everything as one JSON object")


def pull_here(parsed: argparse.Namespace, tell: Tell) -> Pull:
    """The release that the arguments name, with a status line on the terminal."""
    line = StatusLine()

    def tell_above(text: str) -> None:
        line.clear()
        tell(text)

    try:
        return pull(
            parsed.url,
            parsed.output,
            tell_above,
            channel=parsed.channel,
            version=parsed.version,
            key=parsed.key,
            show=line.show,
        )
    finally:
        line.clear()


def index_of(url: str, tell: Tell) -> Index:
    """What is at `url`."""
    return current_index(find_store(url, tell), tell)


def table(index: Index) -> str:
    """A line for each version, the last one that was pushed first."""
    rows: list[Sequence[str]] = [_COLUMNS]
    for release in reversed(index.releases):
        channels = [name for name, channel in index.channels.items() if channel.version == release.version]
        rows.append(
            (
                release.version,
                ", ".join(sorted(channels)) or "-",
                release.created[:19],
                release.pushed[:19],
                f"{release.bytes / 1e6:,.1f} MB",
                "yes" if release.signed else "no",
                "yes" if release.validated else "no",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([index.name, *lines])


def to_json(index: Index) -> str:
    """Everything that the store says of its releases, as one JSON object."""
    return json.dumps(asdict(index), ensure_ascii=False)
