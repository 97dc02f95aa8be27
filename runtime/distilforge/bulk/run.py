"""Answer every row of a file: `python -m distilforge run` and `distilforge run`."""

import hashlib
import json
import pickle
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import BinaryIO, cast

from distilforge import user_cache
from distilforge.affinity import available_cores
from distilforge.bulk.answering import AnswererSettings
from distilforge.bulk.columns import HeadColumns, check_options, column_names, schema
from distilforge.bulk.digest import HashingFile, sha256
from distilforge.bulk.formats import format_of
from distilforge.bulk.heads import columns_of
from distilforge.bulk.job import Job
from distilforge.bulk.journal import Finish, Journal, Part
from distilforge.bulk.options import MOST_ON_GPU, MOST_WORKERS, SAVE_SECONDS, RunOptions, RunResult
from distilforge.bulk.pool import answer_in_processes
from distilforge.bulk.progress import Meter, Report
from distilforge.bulk.rows import Answers, batches
from distilforge.bulk.source import check_columns, reading
from distilforge.checks.arguments import check_positive, check_threads
from distilforge.errors import InputError, UnavailableError
from distilforge.lock import at_once
from distilforge.opening.open import open_release
from distilforge.session import Session
from distilforge.storage import Place
from distilforge.urls import check_slashes

# A part is read into memory as a whole when the output is put together
_PART_BYTES = 64 << 20
_CACHE = "run"
_FORCE = "pass another output, or --force to begin again"


def run(release: str, options: RunOptions, report: Report) -> RunResult:
    """Answer every row of `options.input` with a release, and write `options.output`; `report` is told how far it is.

    What an earlier run of the same job has finished is kept. The output has a row for each row of the input, in order.

    Raises InputError for options, files and columns that cannot be used, and for an output of another job;
    UnavailableError for a package that is not installed; what `distilforge.open` raises; EngineError if a worker
    process ends before it is open.
    """
    _check(options)
    for url in (options.input, options.output):
        check_slashes(url)
    source, output = Place(options.input), Place(options.output)
    for place in (source, output):
        format_of(place.name)
    _check_output(output, source)
    with _alone(output):
        return _run(release, options, report, source, output)


@contextmanager
def _alone(output: Place) -> Iterator[None]:
    """Raise InputError if another process of this user writes `output`: each would remove what the other finished."""
    with ExitStack() as stack:
        try:
            name = hashlib.sha256(output.resolved().encode(errors="surrogatepass")).hexdigest()
            is_alone = stack.enter_context(at_once(user_cache.folder(_CACHE) / f"{name}.lock"))
        # Without a cache, the count at the end has to do
        except (OSError, UnavailableError):
            is_alone = True
        if not is_alone:
            raise InputError(
                f"another run is writing {output.url!r}", hint="wait for it, or pass another output"
            )
        yield


def _run(release: str, options: RunOptions, report: Report, source: Place, output: Place) -> RunResult:
    started = time.monotonic()
    journal = Journal(output)
    before = None if options.force else journal.job()
    session = _open(release, options, journal, before)
    columns = columns_of(session.head)
    call_options = check_options(session, options.options)
    names = column_names(columns, options.columns)
    job = _job(session, options, source, names)
    if before is not None and before != job:
        raise InputError(f"{journal.url!r} belongs to another job: {job.differences(before)}", hint=_FORCE)
    finish = journal.finish() if before is not None else None
    if finish is not None and output.size_bytes() is not None:
        _check_finished(output, finish)
        journal.tidy()
        return _result(output, finish, finish.rows, started)
    begins = before is None or finish is not None
    if begins:
        # Nothing may be begun for an input that cannot be answered, nor without what is to answer it
        check_columns(source, columns, names, options.columns)
        if before is None and not options.force and output.size_bytes() is not None:
            raise InputError(f"{output.url!r} exists, and no run says what is in it", hint=_FORCE)
    settings = AnswererSettings(
        session=pickle.dumps(session), head=session.head, options=call_options, names=names
    )
    on_gpu = session.variant.needs_gpu
    # The workers open their own, and it may be large
    del session
    with _cores(options) as cores:
        if begins:
            journal.start(job)
        parts = journal.parts()
        reused = parts[-1].end if parts else 0
        meter = Meter(reused, sum(part.errors for part in parts), report)
        workers = _workers(options, cores, on_gpu=on_gpu)
        with _answers(source, columns, settings, options, skip=reused, workers=workers) as answers:
            _save(journal, answers, meter, options.save_seconds)
    parts = journal.parts()
    _check_count(journal, parts, meter)
    finish = _assemble(journal, parts, output, settings, columns)
    journal.end(finish)
    return _result(output, finish, reused, started)


def _open(release: str, options: RunOptions, journal: Journal, before: Job | None) -> Session:
    """The session of a run, whose variant is that with which the job `before` was begun, unless one is asked for."""
    if options.variant is not None or before is None:
        return open_release(release, variant=options.variant, threads=options.threads)
    try:
        return open_release(release, variant=before.variant, threads=options.threads)
    except (InputError, UnavailableError) as cause:
        raise type(cause)(
            f"{journal.url!r:.200} was begun with the variant {before.variant} of {before.release}: {cause.message}",
            hint=_FORCE,
        ) from cause


def _check(options: RunOptions) -> None:
    check_threads(options.threads)
    if options.workers is not None:
        check_positive("workers", options.workers)
        if options.workers > MOST_WORKERS:
            raise InputError(
                f"workers must be at most {MOST_WORKERS}, found {options.workers}",
                hint="leave it out to have one for each core",
            )
    if not 0 < options.save_seconds <= 86_400:
        raise InputError(
            f"the time between two savings must be above 0 and at most 86400 seconds, found {options.save_seconds:g}",
            hint=f"leave it out to save every {SAVE_SECONDS:g} seconds",
        )


def _check_output(output: Place, source: Place) -> None:
    if output.is_same(source):
        raise InputError(
            f"the output {output.url!r:.200} is the input {source.url!r:.200}, which it would replace",
            hint="pass another output",
        )
    if output.is_on_web:
        raise InputError(
            f"the output {output.url!r:.200} is on a web server, which only sends files",
            hint="pass a path, or a URL of a store such as s3://",
        )
    kind = output.kind() if output.is_local else ""
    if kind == "directory":
        raise InputError(f"the output {output.url!r:.200} is a folder", hint="pass the name of a file")
    if kind == "other":
        raise InputError(
            f"the output {output.url!r:.200} is a pipe or a device, which a file would replace",
            hint="pass the name of a file",
        )


def _check_finished(output: Place, finish: Finish) -> None:
    """Raise InputError if the output, which exists, is not what the run wrote.

    Its content is read only if it does not have the time or the tag that it had when it was finished.
    """
    size_bytes = output.size_bytes()
    if size_bytes != finish.bytes:
        problem = f"it has {size_bytes:,} bytes, not {finish.bytes:,}"
    elif finish.modified and output.modified() == finish.modified:
        return
    else:
        found = sha256(output)
        if found == finish.sha256:
            return
        problem = f"its SHA-256 is {found}, not {finish.sha256}"
    raise InputError(f"{output.url!r} was changed since it was finished: {problem}", hint=_FORCE)


def _job(session: Session, options: RunOptions, source: Place, names: Mapping[str, str]) -> Job:
    size_bytes = source.size_bytes()
    if size_bytes is None:
        raise _no_input(source)
    return Job(
        input=source.resolved(),
        input_bytes=size_bytes,
        input_modified=source.modified(),
        columns=names,
        release=session.manifest.name,
        version=session.manifest.version,
        variant=session.variant.name,
        threads=options.threads,
        options=json.dumps(options.options, ensure_ascii=False, sort_keys=True),
    )


def _no_input(source: Place) -> InputError:
    """Why the input, which has no size, cannot be read."""
    kind = source.kind()
    if not kind:
        return InputError(f"there is no file {source.url!r}", hint="look at the path or URL of the input")
    if kind == "file":
        return InputError(f"the server of {source.url!r} does not say how large it is", hint="download it")
    what = (
        "a folder" if kind == "directory" else "a pipe or a device, which cannot be read from its start again"
    )
    return InputError(f"the input {source.url!r} is {what}", hint="pass the name of a file")


@contextmanager
def _cores(options: RunOptions) -> Iterator[int]:
    """How many cores may answer; on Ray, those of the cluster, which is left at the end."""
    if not options.ray:
        yield len(available_cores())
        return
    # Imported only for those who use it
    from distilforge.bulk.ray_pool import cluster

    with cluster() as cores:
        yield int(cores)


def _workers(options: RunOptions, cores: int, *, on_gpu: bool) -> int:
    """How many workers answer on `cores` cores; `on_gpu` says whether the variant runs on a GPU."""
    if options.workers is not None:
        return options.workers
    workers = max(1, cores // options.threads)
    # Ray places workers on many machines, which may have a GPU each
    return min(workers, MOST_ON_GPU) if on_gpu and not options.ray else workers


@contextmanager
def _answers(
    source: Place,
    columns: HeadColumns,
    settings: AnswererSettings,
    options: RunOptions,
    *,
    skip: int,
    workers: int,
) -> Iterator[Iterator[Answers]]:
    """The answers to the rows after the first `skip` ones, in order."""
    with reading(source, columns, settings.names) as read:
        if options.ray:
            from distilforge.bulk.ray_pool import answer_on_ray

            answers = answer_on_ray(
                source.address, settings, workers=workers, threads=options.threads, skip=skip
            )
        else:
            answers = answer_in_processes(
                batches(read.rows, read.fraction, skip), settings, workers=workers, threads=options.threads
            )
        # Workers end here, whatever ends the run
        with closing(answers):
            yield answers


def _save(journal: Journal, answers: Iterable[Answers], meter: Meter, save_seconds: float) -> None:
    """Write the answers in parts."""
    waiting: list[Answers] = []
    saved = time.monotonic()
    for entry in answers:
        assert not waiting or entry.first == waiting[-1].first + waiting[-1].rows
        waiting.append(entry)
        meter.add(entry.rows, entry.errors, entry.fraction)
        full = sum(len(answer.table) for answer in waiting) >= _PART_BYTES
        if full or time.monotonic() - saved >= save_seconds:
            journal.save(waiting)
            waiting = []
            saved = time.monotonic()
    if waiting:
        journal.save(waiting)


def _check_count(journal: Journal, parts: Sequence[Part], meter: Meter) -> None:
    """Raise InputError if the parts do not have the rows that were answered: another machine's run removed them."""
    rows = sum(part.rows for part in parts)
    if rows != meter.rows:
        raise InputError(
            f"{journal.url!r} has {rows:,} rows, and {meter.rows:,} were answered: another run writes there too",
            hint="let one run end, and run it again",
        )


def _assemble(
    journal: Journal,
    parts: Sequence[Part],
    output: Place,
    settings: AnswererSettings,
    columns: HeadColumns,
) -> Finish:
    """Write the output from the parts, and return what to note about it."""
    # Elsewhere a rename is a copy; there an object appears once it is whole, or finished.json says that it is not
    place = journal.temporary() if output.is_local else output
    kind = schema(columns, settings.options)
    with place.writer() as file:
        hashing = HashingFile(file)
        with format_of(output.name).writer(cast("BinaryIO", hashing), kind) as write:
            for part in parts:
                for batch in journal.batches(part, kind):
                    write(batch)
    if output.is_local:
        output.replace(place)
    size_bytes = output.size_bytes()
    assert size_bytes is not None
    return Finish(
        rows=sum(part.rows for part in parts),
        errors=sum(part.errors for part in parts),
        bytes=size_bytes,
        sha256=hashing.hexdigest(),
        modified=output.modified(),
    )


def _result(output: Place, finish: Finish, reused: int, started: float) -> RunResult:
    return RunResult(
        output=output.url,
        rows=finish.rows,
        errors=finish.errors,
        reused=reused,
        seconds=time.monotonic() - started,
    )
