"""Listen, answer until a signal comes, and stop when the requests in progress are answered."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

import uvicorn

from distilforge.batching.batcher import Batcher
from distilforge.errors import InputError
from distilforge.opening.open import open_release
from distilforge.serve.application import application
from distilforge.serve.options import ServeOptions
from distilforge.serve.service import Service
from distilforge.session import Session

# Beyond it, connections wait in the operating system
_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 5


def serve(release: str, options: ServeOptions, tell: Callable[[str], None]) -> str:
    """Serve a release until SIGTERM or Ctrl-C; `tell` receives a line with the address.

    Requests that are in progress then are answered, for at most `options.timeout` seconds.

    Raises what `distilforge.open` raises; InputError for an address that cannot be listened on, and for options out of
    bounds; KeyboardInterrupt after Ctrl-C.
    """
    session = open_release(release, variant=options.variant, threads=options.threads, trust=options.trust)
    with listen(options) as listener, batch(session, options) as batcher:
        server = http_server(Service(batcher, options.limits), options)
        manifest = session.manifest
        tell(f"serving {manifest.name} {manifest.version}, {session.variant.name}, at {address(listener)}")
        with _terminated_quietly():
            server.run(sockets=[listener])
        counts = batcher.counts
    return f"stopped; {counts.rows:,} texts were answered in {counts.runs:,} runs"


def batch(session: Session, options: ServeOptions) -> Batcher[Session]:
    """The batched session of a service; a request that finds no room is an error. Raises InputError for options."""
    return session.batched(
        max_delay=options.max_delay,
        max_tokens=options.max_tokens,
        max_padding=options.max_padding,
        max_waiting=options.max_waiting,
        timeout=options.timeout,
        when_full="error",
    )


def http_server(service: Service, options: ServeOptions) -> uvicorn.Server:
    """The HTTP server of `service`, which closes its batcher when it stops."""
    return uvicorn.Server(
        uvicorn.Config(
            application(service),
            # What it warns of is an error of ours
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(options.timeout)),
        )
    )


def listen(options: ServeOptions) -> socket.socket:
    """A socket that listens; InputError if the address cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        return socket.create_server((options.host, options.port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as cause:
        raise InputError(
            f"cannot listen on {options.host!r:.80}, port {options.port}: {cause}",
            hint="--port 0 takes any port that is free",
        ) from cause


def address(listener: socket.socket) -> str:
    """The URL of the service that listens there."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _terminated_quietly() -> Iterator[None]:
    """Let SIGTERM end the service without an error: uvicorn raises it again after it has stopped."""
    if current_thread() is not main_thread():
        yield
        return

    def ignore(number: int, frame: FrameType | None) -> None:
        """Do nothing: the service has stopped."""

    previous = signal.signal(signal.SIGTERM, ignore)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
