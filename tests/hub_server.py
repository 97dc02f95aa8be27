"""A small part of the Hugging Face hub's HTTP API, as huggingface_hub 0.36 calls it: one repository, in memory.

It stores what a commit has in itself; the real hub asks for large files to be sent to another place first, which
huggingface_hub does, and which is not tested here.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote

REPOSITORY = "team/small"


class Hub:
    """The state of the repository."""

    def __init__(self) -> None:
        self.url = ""
        self.exists = False
        self.commits: dict[str, dict[str, bytes]] = {}
        self.revisions: dict[str, str] = {}
        self.overtaken = False  # whether another publisher commits just before each commit

    def commit(self, files: dict[str, bytes]) -> str:
        sha = hashlib.sha1(json.dumps([len(self.commits), sorted(files)]).encode()).hexdigest()
        self.commits[sha] = files
        self.revisions["main"] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        revision = unquote(revision)
        return revision if revision in self.commits else self.revisions.get(revision)


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A hub without the repository."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            _get(hub, self)

        def do_HEAD(self) -> None:
            _get(hub, self)

        def do_POST(self) -> None:
            _post(hub, self)

        def do_DELETE(self) -> None:
            tag = self.path.rsplit("/", 1)[1]
            if hub.revisions.pop(tag, None) is None:
                _absent(self, "RevisionNotFound")
            else:
                _answer(self, {})

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield hub
        finally:
            server.shutdown()


def _get(hub: Hub, request: BaseHTTPRequestHandler) -> None:
    path = request.path.partition("?")[0]
    if not hub.exists:
        return _absent(request, "RepoNotFound")
    if path == f"/api/models/{REPOSITORY}/refs":
        tags = [
            {"name": name, "ref": f"refs/tags/{name}", "targetCommit": sha}
            for name, sha in hub.revisions.items()
            if name != "main"
        ]
        return _answer(request, {"branches": [], "converts": [], "tags": tags})
    if match := re.fullmatch(rf"/api/models/{REPOSITORY}(?:/revision/(.*))?", path):
        sha = hub.resolve(match[1] or "main")
        if sha is None:
            return _absent(request, "RevisionNotFound")
        files = [{"rfilename": name} for name in hub.commits[sha]]
        return _answer(request, {"id": REPOSITORY, "sha": sha, "siblings": files})
    if match := re.fullmatch(rf"/api/models/{REPOSITORY}/tree/([^/]+)(?:/(.*))?", path):
        sha = hub.resolve(match[1])
        folder = f"{unquote(match[2])}/" if match[2] else ""
        return _answer(
            request,
            [_entry(hub, sha or "", name) for name in hub.commits[sha or ""] if name.startswith(folder)],
        )
    if match := re.fullmatch(rf"/{REPOSITORY}/resolve/([^/]+)/(.*)", path):
        content = hub.commits[hub.resolve(match[1]) or ""].get(unquote(match[2]))
        if content is None:
            return _absent(request, "EntryNotFound")
        return _content(request, content, hub.resolve(match[1]) or "")
    return _absent(request, "EntryNotFound")


def _post(hub: Hub, request: BaseHTTPRequestHandler) -> None:
    length = request.headers.get("Content-Length")
    body = request.rfile.read(int(length)) if length else _chunks(request)
    path = request.path.partition("?")[0]
    if path == "/api/repos/create":
        if not hub.exists:
            hub.exists = True
            hub.commit({".gitattributes": b"*.onnx filter=lfs\n"})
        return _answer(request, {"url": f"{hub.url}/{REPOSITORY}"})
    if path == "/api/validate-yaml":
        return _answer(request, {"errors": [], "warnings": []})
    if path.startswith(f"/api/models/{REPOSITORY}/preupload/"):
        files = [
            {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
            for file in json.loads(body)["files"]
        ]
        return _answer(request, {"files": files})
    if path.startswith(f"/api/models/{REPOSITORY}/paths-info/"):
        sha = hub.resolve(path.rsplit("/", 1)[1]) or ""
        names = json.loads(body)["paths"] if body[:1] == b"{" else re.findall(r"paths=([^&]*)", body.decode())
        entries = [_entry(hub, sha, unquote(name)) for name in names if unquote(name) in hub.commits[sha]]
        return _answer(request, entries)
    if path.startswith(f"/api/models/{REPOSITORY}/commit/"):
        return _commit(hub, request, body)
    if path.startswith(f"/api/models/{REPOSITORY}/tag/"):
        sha = hub.resolve(path.rsplit("/", 1)[1])
        hub.revisions[json.loads(body)["tag"]] = sha or ""
        return _answer(request, {})
    return _absent(request, "EntryNotFound")


def _commit(hub: Hub, request: BaseHTTPRequestHandler, body: bytes) -> None:
    lines = [json.loads(line) for line in body.splitlines()]
    parent = lines[0]["value"].get("parentCommit")
    if hub.overtaken:
        hub.commit(dict(hub.commits[hub.revisions["main"]]))
    if parent is not None and parent != hub.revisions["main"]:
        return _answer(request, {"error": "The branch has another commit"}, status=412)
    files = dict(hub.commits[hub.revisions["main"]])
    for line in lines[1:]:
        value = line["value"]
        if line["key"] == "deletedFile":
            files.pop(value["path"])
        else:
            assert line["key"] == "file", line["key"]
            files[value["path"]] = base64.b64decode(value["content"])
    sha = hub.commit(files)
    return _answer(
        request, {"success": True, "commitOid": sha, "commitUrl": f"{hub.url}/{REPOSITORY}/commit/{sha}"}
    )


def _entry(hub: Hub, sha: str, name: str) -> dict[str, object]:
    content = hub.commits[sha][name]
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}


def _content(request: BaseHTTPRequestHandler, content: bytes, sha: str) -> None:
    size, status = len(content), 200
    if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
        first, last = int(match[1]), min(int(match[2] or size), size - 1)
        content, status = content[first : last + 1], 206
    request.send_response(status)
    if status == 206:
        request.send_header("Content-Range", f"bytes {first}-{last}/{size}")
    request.send_header("Content-Length", str(len(content)))
    request.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
    request.send_header("X-Repo-Commit", sha)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content)


def _answer(request: BaseHTTPRequestHandler, value: object, *, status: int = 200) -> None:
    body = json.dumps(value).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


def _absent(request: BaseHTTPRequestHandler, code: str) -> None:
    request.send_response(404)
    request.send_header("X-Error-Code", code)
    request.send_header("Content-Length", "0")
    request.end_headers()


def _chunks(request: BaseHTTPRequestHandler) -> bytes:
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body
