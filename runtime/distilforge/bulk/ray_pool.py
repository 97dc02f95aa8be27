"""The same job on a Ray cluster: a Ray Data pipeline whose actors each have one worker process."""

import logging
import os
import pickle
import re
import signal
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

import pyarrow

from distilforge.bulk.answering import AnswererSettings
from distilforge.bulk.heads import columns_of
from distilforge.bulk.rows import Answers, Batch, batches
from distilforge.bulk.slot import WorkerSlot
from distilforge.bulk.source import reading
from distilforge.errors import DistilforgeError, EngineError, UnavailableError
from distilforge.storage import Place

try:
    import ray
    import ray.data
except ImportError as cause:
    raise UnavailableError(
        f"Ray cannot be imported: {cause}", hint="pip install 'distilforge[bulk,ray]'"
    ) from cause

_BATCH = "batch"
_ANSWERS = "answers"
# Ray gives every machine this label
_NODE_LABEL = "ray.io/node-id"
# Every block is larger, so that each has one row, which is one batch: actors get them one by one
_BLOCK_BYTES = 1
_ADDRESS = re.compile(r"\[?(?P<host>[^/\[\]]+)\]?:(?P<port>\d{1,5})")
_CONNECT_SECONDS = 10.0
_ERROR_LINE = re.compile(r"(?!ray\.)[\w.]*(Error|Exception)\b")
_TOKENS = (
    "If Ray says that a token is invalid: a cluster and those who use it need the same RAY_AUTH_TOKEN, or "
    "RAY_AUTH_MODE=disabled where the cluster has none. Ray keeps the token of a cluster that it starts in "
    "~/.ray/auth_token"
)
# What Ray tells its own processes
_OWN_VARIABLES = "RAY_"


class _Actor:
    """Answers batches in a worker process.

    Ray starts an actor again whenever it ends, without a limit. If a batch ends the worker process, the actor survives,
    and the batch's rows become error rows, as on one machine. Our own errors are answers too: Ray would try the batch
    again, and would hand over only a text with its own advice.
    """

    def __init__(self, settings: AnswererSettings, threads: int) -> None:
        self._slot = WorkerSlot(settings, threads=threads)

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        contents: list[bytes] = table.column(_BATCH).to_pylist()
        return _table(_ANSWERS, [pickle.dumps(self._answer(_batch(content))) for content in contents])

    def _answer(self, batch: Batch | DistilforgeError) -> Answers | DistilforgeError:
        if isinstance(batch, DistilforgeError):
            return batch
        try:
            return self._slot.answer(batch)
        except DistilforgeError as error:
            return error


def answer_on_ray(
    url: str, settings: AnswererSettings, *, workers: int, threads: int, skip: int
) -> Generator[Answers, None, None]:
    """The answers to the rows of the input at `url` after the first `skip` ones, in order, within `cluster`.

    This machine reads the input, with this process's environment; the release must be at the same path on every
    machine. `workers` actors answer.

    Raises what reading the input and opening the release raise, and EngineError if the pipeline fails.
    """
    yield from _stream(_pipeline(url, settings, size=workers, threads=threads, skip=skip))


def _pipeline(
    url: str, settings: AnswererSettings, *, size: int, threads: int, skip: int
) -> "ray.data.Dataset":
    # The cluster may have been started where no credentials of the input, or others, are set
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)}

    def read(table: pyarrow.Table) -> Iterator[pyarrow.Table]:
        with _variables(environment):
            try:
                for batch in _read(url, settings, skip):
                    yield _table(_BATCH, [pickle.dumps(batch)])
            except DistilforgeError as error:
                yield _table(_BATCH, [pickle.dumps(error)])

    dataset = ray.data.from_items([{"input": url}])
    dataset.context.execution_options.preserve_order = True
    dataset.context.target_max_block_size = _BLOCK_BYTES
    # It takes no core, since the actors may have all of them. The label keeps Ray from fusing it with the actors, too
    dataset = dataset.map_batches(
        read,
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=0,
        label_selector={_NODE_LABEL: ray.get_runtime_context().get_node_id()},
    )
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(settings, threads),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=size),
        num_cpus=threads,
    )


def _read(url: str, settings: AnswererSettings, skip: int) -> Iterator[Batch]:
    with reading(Place(url), columns_of(settings.head), settings.names) as read:
        yield from batches(read.rows, read.fraction, skip)


@contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """Have the variables of `environment`, and none besides but Ray's own."""
    before = dict(os.environ)
    try:
        for name in before.keys() - environment.keys():
            if not name.startswith(_OWN_VARIABLES):
                del os.environ[name]
        os.environ.update(environment)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _stream(dataset: "ray.data.Dataset") -> Iterator[Answers]:
    try:
        for row in dataset.iter_rows():
            answers: Answers | DistilforgeError = pickle.loads(row[_ANSWERS])  # noqa: S301 - from our own actors
            if isinstance(answers, DistilforgeError):
                raise answers
            yield answers
    except (ray.exceptions.RayError, ray.data.exceptions.RayDataUserCodeException) as error:
        raise EngineError(f"the Ray pipeline failed: {_reason(error)}", hint=_TOKENS) from error


def _reason(error: BaseException) -> str:
    """The last error in the text of Ray's `error`, which may be a whole traceback with advice about Ray after it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next(filter(_ERROR_LINE.match, reversed(lines)), lines[-1])


@contextmanager
def cluster() -> Iterator[float]:
    """The cores of the cluster of RAY_ADDRESS; what was not connected before is left at the end.

    Without RAY_ADDRESS, it is that of `ray start` on this machine, or else one that Ray starts. Raises UnavailableError
    if there is no such cluster.
    """
    # Ray would send statistics of a cluster that it starts here
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    connected = ray.is_initialized()
    if not connected:
        _check_address(os.environ.get("RAY_ADDRESS", ""))
        try:
            with _own_signals():
                ray.init(log_to_driver=False, logging_level="ERROR")
        except Exception as cause:
            raise UnavailableError(
                f"Ray cannot be used with RAY_ADDRESS={os.environ.get('RAY_ADDRESS', '')!r}: {cause}",
                hint="start a cluster with `ray start --head`, or unset RAY_ADDRESS to have one started here. "
                f"{_TOKENS}",
            ) from cause
    context = ray.data.DataContext.get_current()
    bars = context.enable_progress_bars
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.enable_progress_bars = False
    try:
        yield ray.cluster_resources().get("CPU", 1.0)
    finally:
        context.enable_progress_bars = bars
        if not connected:
            ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's answer to SIGTERM, where Ray would print its stack and end with the exit code 15."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _check_address(address: str) -> None:
    """Raise UnavailableError if nothing listens at `address`: Ray would try for many minutes."""
    parts = _ADDRESS.fullmatch(address)
    # Ray finds what `auto` is, and has errors for what is not an address
    if parts is None:
        return
    try:
        socket.create_connection((parts["host"], int(parts["port"])), _CONNECT_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as cause:
        raise UnavailableError(
            f"there is no Ray cluster at RAY_ADDRESS={address!r:.200}: {cause}",
            hint="look at the address, and start the cluster with `ray start --head`; or unset RAY_ADDRESS to use one "
            "of this machine",
        ) from cause


def _batch(content: bytes) -> Batch | DistilforgeError:
    batch: Batch | DistilforgeError = pickle.loads(content)  # noqa: S301 - from our own reader
    return batch


def _table(column: str, values: list[bytes]) -> pyarrow.Table:
    return pyarrow.table({column: pyarrow.array(values, pyarrow.binary())})
