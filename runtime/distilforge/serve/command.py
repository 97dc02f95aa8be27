"""The arguments of `serve`, and what it needs installed."""

import argparse
from collections.abc import Callable
from pathlib import Path

from distilforge.batching import options as batching
from distilforge.errors import UnavailableError
from distilforge.serve import limits, options
from distilforge.serve.limits import RequestLimits
from distilforge.serve.options import ServeOptions

_PACKAGES = ("prometheus_client", "starlette", "uvicorn")


def add_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    program: str,
    command: Callable[[argparse.Namespace], str],
) -> None:
    """Add the parser of `serve`, which calls `command`."""
    parser = commands.add_parser(
        "serve",
        help="answer requests over HTTP",
        description="Answer requests over HTTP, many of them in one run of the engine. The paths are those of "
        "text-embeddings-inference (/embed, /predict, /info), of the Open Inference Protocol (/v2), of the Hugging "
        "Face tasks (/), and /answer for the typed results of every head; /openapi.json describes them. SIGTERM "
        "and Ctrl-C stop it after the requests in progress are answered.",
        epilog=f"Example: {program} serve artifacts/sentiment --port 8080",
        allow_abbrev=False,
    )
    parser.set_defaults(command=command, interrupted="interrupted; all requests in progress were answered")
    parser.add_argument("release", metavar="RELEASE", help="artifacts/<name>, or a version folder inside it")
    parser.add_argument(
        "--host",
        default=options.HOST,
        help="the address to listen on; default: %(default)s, which only this machine reaches",
    )
    parser.add_argument(
        "--port",
        metavar="N",
        type=int,
        default=options.PORT,
        help="the port; 0 takes any that is free, and the first line printed has it; default: %(default)s",
    )
    parser.add_argument(
        "--variant", metavar="T:P", help="the variant that answers; default: the best for this machine"
    )
    parser.add_argument("--threads", metavar="N", type=int, help="threads of a run; default: the engine's")
    parser.add_argument(
        "--trust", metavar="FILE", type=Path, help="a PEM file with the key that must have signed the release"
    )
    parser.add_argument(
        "--max-delay",
        metavar="S",
        type=float,
        default=batching.MAX_DELAY_SECONDS,
        help="seconds that a request waits for others while the engine is free; default: %(default)g",
    )
    parser.add_argument(
        "--max-tokens",
        metavar="N",
        type=int,
        help="the most tokens of a run, padding included; default: the release's usual batch",
    )
    parser.add_argument(
        "--max-padding",
        metavar="PART",
        type=float,
        default=batching.MAX_PADDING,
        help="the most of a run's tokens that may be padding, from 0 to 1; default: %(default)g",
    )
    parser.add_argument(
        "--max-waiting",
        metavar="N",
        type=int,
        default=batching.MAX_WAITING,
        help="requests in progress; more get the status 429; default: %(default)s",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=float,
        default=options.TIMEOUT_SECONDS,
        help="seconds that a request may wait for the engine; default: %(default)g",
    )
    parser.add_argument(
        "--max-body",
        metavar="BYTES",
        type=int,
        default=limits.BODY_BYTES,
        help="the largest body of a request; default: %(default)s",
    )
    parser.add_argument(
        "--max-texts",
        metavar="N",
        type=int,
        default=limits.TEXTS,
        help="the most inputs of a request; default: %(default)s",
    )
    parser.add_argument(
        "--max-characters",
        metavar="N",
        type=int,
        default=limits.CHARACTERS,
        help="the most characters of a text; default: %(default)s",
    )


def options_of(parsed: argparse.Namespace) -> ServeOptions:
    """The options in the arguments of `serve`."""
    return ServeOptions(
        host=parsed.host,
        port=parsed.port,
        variant=parsed.variant,
        threads=parsed.threads,
        trust=parsed.trust,
        max_delay=parsed.max_delay,
        max_tokens=parsed.max_tokens,
        max_padding=parsed.max_padding,
        max_waiting=parsed.max_waiting,
        timeout=parsed.timeout,
        limits=RequestLimits(
            body_bytes=parsed.max_body, texts=parsed.max_texts, characters=parsed.max_characters
        ),
    )


def serve_here(release: str, options: ServeOptions, tell: Callable[[str], None]) -> str:
    """Serve until a signal ends it, and return a line about it; `tell` receives the address.

    Raises UnavailableError if a package of the extra `serve` is missing, and what `server.serve` raises.
    """
    try:
        from distilforge.serve.server import serve
    except ModuleNotFoundError as cause:
        if (cause.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise UnavailableError(
            f"serving needs starlette, uvicorn and prometheus-client; {cause.name} is not installed",
            hint="pip install 'distilforge[serve]'",
        ) from cause
    return serve(release, options, tell)
