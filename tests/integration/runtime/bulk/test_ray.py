"""`distilforge run --ray` on a local Ray of two actors: an actor or the run itself is killed, and nothing shows it.

Ray is not one of the packages for development: `make test-ray` installs it and runs this file.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Set
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.bulk_workers import is_running, wait_for_end
from tests.integration.runtime.bulk.conftest import BAD, ROWS, command, run, write_texts
from tests.runtime_release import LABELS, published
from tests.store_servers import BUCKET, s3_server, why_no_s3

ACTORS = 2
# Ray refuses less than 75 MiB
STORE_BYTES = 100 << 20
ACTOR_TITLE = b"ray::MapWorker"
ACTOR_STARTS = b".__init__"
# Ray starts processes, which takes a while on a busy machine
PATIENCE_SECONDS = 240
# Ray gives its own processes 15 seconds to start
ATTEMPTS = 4

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: make test-ray"),
    pytest.mark.skipif(
        not Path("/proc/self/cmdline").exists(), reason="needs Linux: it finds actors in /proc"
    ),
]
# Ray leaves processes to Python's end, which is an error in a process of pytest
CLUSTER = f"""
import ray, sys
ray.init(
    address="local", num_cpus={ACTORS}, object_store_memory={STORE_BYTES}, include_dashboard=False,
    logging_level="ERROR", log_to_driver=False,
)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
ray.shutdown()
"""
# The release is there for the command, and absent for the actors
ABSENT = """
import pickle, shutil, sys
import distilforge
from distilforge.bulk.answering import AnswererSettings
from distilforge.bulk.ray_pool import answer_on_ray

if __name__ == "__main__":
    release, texts = sys.argv[1:]
    session = distilforge.open(release)
    settings = AnswererSettings(
        session=pickle.dumps(session), head=session.head, options={}, names={"text": "text", "text_pair": "text_pair"}
    )
    shutil.rmtree(release)
    try:
        list(answer_on_ray(texts, settings, workers=1, threads=1, skip=0))
    except distilforge.ReleaseError as error:
        print(error.message, error.hint, sep="\\n")
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """The environment of a command that uses a local Ray with two cores."""
    # Nothing is reported over the network; Ray lets only those in who have its token
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    for _ in range(ATTEMPTS):
        with subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if address:
                yield {**environment, "RAY_ADDRESS": address}
                process.stdin.close()
                process.wait(PATIENCE_SECONDS)
                return
    raise AssertionError(f"Ray did not start in {ATTEMPTS} attempts")


@pytest.fixture(scope="module")
def release() -> Path:
    return published("sequence_classification", LABELS["sequence_classification"]).release


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts") / "texts.jsonl", ROWS)


@pytest.fixture(scope="module")
def undisturbed(release: Path, texts: Path) -> list[bytes]:
    """The sorted lines of a run without Ray."""
    output = texts.with_name("undisturbed.jsonl")
    run(release, "--input", texts, "--workers", "2", "--output", output)
    return lines(output)


def lines(path: Path) -> list[bytes]:
    return sorted(path.read_bytes().splitlines())


def start(
    release: Path, texts: Path | str, output: Path, environment: dict[str, str]
) -> "subprocess.Popen[str]":
    with log(output).open("w") as stderr:
        return subprocess.Popen(
            [
                *command(release, "--input", texts, "--output", output, "--ray"),
                *("--workers", str(ACTORS), "--save-every", "0.05", "--json"),
            ],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )


def log(output: Path) -> Path:
    return output.with_name("stderr")


def messages(output: Path) -> str:
    return log(output).read_text()[-1_000:]


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    for _ in range(PATIENCE_SECONDS * 200):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError(f"{what}: not within {PATIENCE_SECONDS} seconds")


def processes() -> dict[int, tuple[int, bytes]]:
    """The parent and the command line of every process."""
    table: dict[int, tuple[int, bytes]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            table[int(folder.name)] = (parent, (folder / "cmdline").read_bytes())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
    return table


def actors(table: dict[int, tuple[int, bytes]]) -> Set[int]:
    """The processes of the actors of this test's own Ray, once they were made."""

    def is_ours(process: int) -> bool:
        while process in table:
            if process == os.getpid():
                return True
            process = table[process][0]
        return False

    return {
        process
        for process, (_, line) in table.items()
        if line.startswith(ACTOR_TITLE) and ACTOR_STARTS not in line and is_ours(process)
    }


def busy_actors() -> dict[int, list[int]]:
    """The actors that have worker processes, and those."""
    table = processes()
    workers = {
        actor: [child for child, (parent, _) in table.items() if parent == actor] for actor in actors(table)
    }
    return {actor: children for actor, children in workers.items() if children}


def receipts(output: Path) -> int:
    return len(list(output.with_name(f"{output.name}.run").glob("part-*.json")))


def test_an_actor_that_is_killed_loses_and_repeats_nothing(
    release: Path, texts: Path, undisturbed: list[bytes], cluster: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "answers.jsonl"
    process = start(release, texts, output, cluster)
    # Ray ends them when all is answered, which is before all is saved
    wait_for("two actors at work", lambda: len(busy_actors()) == ACTORS or process.poll() is not None)
    killed, workers = min(busy_actors().items(), default=(0, []))
    assert killed, f"the run was over before an actor could be killed: {messages(output)}"
    os.kill(killed, signal.SIGKILL)
    stdout, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, messages(output)
    result = json.loads(stdout)
    assert (result["rows"], result["errors"], result["reused"]) == (ROWS, len(BAD), 0)
    assert not is_running(killed)
    for worker in workers:
        wait_for_end(worker)
    assert lines(output) == undisturbed


def test_a_run_on_ray_that_is_killed_continues(
    release: Path, texts: Path, undisturbed: list[bytes], cluster: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "answers.jsonl"
    process = start(release, texts, output, cluster)
    # The last receipt may be half written
    wait_for("saved answers", lambda: receipts(output) > 1 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, (
        f"the run was over before it could be killed: {messages(output)}"
    )
    process.communicate()
    wait_for("the end of the actors", lambda: not actors(processes()))
    again = start(release, texts, output, cluster)
    stdout, _ = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0, messages(output)
    result = json.loads(stdout)
    assert (result["rows"], result["errors"]) == (ROWS, len(BAD))
    assert 0 < result["reused"] < ROWS
    assert lines(output) == undisturbed


def test_an_address_without_a_cluster_is_refused_at_once(release: Path, texts: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    output = tmp_path / "answers.jsonl"
    process = start(release, texts, output, {"RAY_ADDRESS": f"127.0.0.1:{port}"})
    # Ray itself would try for more than ten minutes
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 3, messages(output)
    assert f"there is no Ray cluster at RAY_ADDRESS='127.0.0.1:{port}'" in messages(output)
    assert not output.with_name(f"{output.name}.run").exists()


def test_a_signal_that_ends_a_run_on_ray_says_how_to_continue(
    release: Path, texts: Path, undisturbed: list[bytes], cluster: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "answers.jsonl"
    process = start(release, texts, output, cluster)
    wait_for("saved answers", lambda: receipts(output) > 1 or process.poll() is not None)
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, messages(output)
    assert "interrupted; run the same command again to continue" in messages(output)
    assert "SIGTERM received" not in messages(output)
    again = start(release, texts, output, cluster)
    again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0, messages(output)
    assert lines(output) == undisturbed


def test_an_error_of_an_actor_is_the_error_of_the_run(
    release: Path, texts: Path, cluster: dict[str, str], tmp_path: Path
) -> None:
    copy = shutil.copytree(release, tmp_path / "release")
    done = subprocess.run(
        [sys.executable, "-c", ABSENT, copy, texts],
        env={**os.environ, **cluster},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    # Ray prints there too
    assert f"no release at '{copy}" in done.stdout, done.stderr[-1_000:]
    assert "\npass artifacts/<name>" in done.stdout


@pytest.mark.skipif(bool(why_no_s3()), reason=why_no_s3())
def test_the_input_is_read_with_the_credentials_of_the_command(
    release: Path, texts: Path, undisturbed: list[bytes], cluster: dict[str, str], tmp_path: Path
) -> None:
    import s3fs

    output = tmp_path / "answers.jsonl"
    with s3_server(tmp_path) as environment:
        store = s3fs.S3FileSystem(
            key="test", secret="test", endpoint_url=environment["AWS_ENDPOINT_URL"], skip_instance_cache=True
        )
        store.put_file(str(texts), f"{BUCKET}/texts.jsonl")
        # The cluster was started without this environment
        process = start(release, f"s3://{BUCKET}/texts.jsonl", output, {**cluster, **environment})
        process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, messages(output)
    assert lines(output) == undisturbed
