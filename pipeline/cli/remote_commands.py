"""The commands that bring releases to a URL, and say which of them users are to have."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.cli import display, options
from pipeline.cli.reporting import report_errors
from pipeline.remote import push as remote_push
from pipeline.remote.find import find_publisher
from pipeline.remote.publisher import ChannelChange

Url = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="Where the releases are: a folder, s3://bucket/folder or another that fsspec opens, or "
        "oci://REGISTRY/REPOSITORY.",
    ),
]
Keep = Annotated[int, typer.Option(help="How many of the last versions stay.")]
Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="A version, as `distilforge releases URL` prints it.")
]
Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Check every file of this version at the URL, and bring again what is damaged or absent; no channel "
        "moves.",
    ),
]
Channel = Annotated[str, typer.Option("--channel", metavar="NAME", help="The channel to move back.")]
NewChannel = Annotated[
    str,
    typer.Option("--to", metavar="CHANNEL", help="The channel, such as stable; a new name makes a new one."),
]


def push(
    release: options.Release,
    to: options.RequiredDestination,
    repair: Repair = False,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Bring a published release to a URL, where its channel `latest` then names it; print its version.

    Readers see all of it or nothing. A signature goes with it.
    """
    with report_errors(verbose) as listener:
        result = remote_push.push(release, to, listener.note, repair=repair)
        if not result.new:
            listener.note(f"{result.version} {'is whole' if repair else 'was there before'}")
        if not result.latest and not repair:
            listener.note(f"latest stays where it is: it is validated, and {result.version} is not")
        display.result(json.dumps(asdict(result), ensure_ascii=False) if as_json else result.version)


def promote(
    url: Url,
    version: Version,
    to: NewChannel,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Make a channel name a version: whoever pulls that channel gets it from now on."""
    with report_errors(verbose) as listener:
        _show(find_publisher(url, listener.note).promote(version, to), as_json)


def rollback(
    url: Url,
    channel: Channel = "stable",
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Make a channel name the version that it named before."""
    with report_errors(verbose) as listener:
        _show(find_publisher(url, listener.note).rollback(channel), as_json)


def prune(url: Url, keep: Keep, as_json: options.Json = False, verbose: options.Verbose = False) -> None:
    """Remove old versions from a URL; print which.

    What a channel names stays, and so does what it would name after one rollback. Leftovers of pushes that were killed
    more than a day ago are removed too.
    """
    with report_errors(verbose) as listener:
        result = find_publisher(url, listener.note).prune(keep)
        for version, reason in result.protected.items():
            listener.note(f"{version} stays: {reason}")
        if as_json:
            display.result(json.dumps(asdict(result), ensure_ascii=False))
        else:
            for version in result.removed:
                display.result(version)


def _show(change: ChannelChange, as_json: bool) -> None:
    before = "new" if change.before is None else change.before
    text = f"{change.channel}: {before} -> {change.version}"
    display.result(json.dumps(asdict(change), ensure_ascii=False) if as_json else text)
