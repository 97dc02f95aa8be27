"""Opens self-test.html in a headless Chromium without a network, and prints what it reports.

Exits with 0 if the answers are right, with 1 if one is wrong, and with 3 if there is no Chromium.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import check_files

ROOT = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
MOST_SECONDS = 180
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Every name but this server's leads nowhere
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

Report = dict[str, object]


class Handler(SimpleHTTPRequestHandler):
    """Serves the package and takes the page's report."""

    def __init__(self, *arguments: object, reports: "queue.Queue[Report]") -> None:
        self.reports = reports
        super().__init__(*arguments, directory=str(ROOT))  # type: ignore[arg-type]

    def do_POST(self) -> None:
        """Receive the report."""
        self.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep quiet."""


def main() -> int:
    """Print the report and return the exit code."""
    check_files.check(ROOT)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.stderr.write(f"there is no browser; one of these is needed: {', '.join(BROWSERS)}\n")
        return 3
    reports: queue.Queue[Report] = queue.Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, reports=reports))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*FLAGS, f"--user-data-dir={profile}"]
        # Chromium's sandbox refuses to run as root
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            flags.append("--no-sandbox")
        url = f"http://127.0.0.1:{server.server_port}/self-test.html?report"
        command = [browser, *flags, url]
        # The browser is one of BROWSERS, and the address is this server's
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            report = reports.get(timeout=MOST_SECONDS)
        except queue.Empty:
            report = {"error": f"the page did not report within {MOST_SECONDS} seconds"}
        finally:
            process.terminate()
            process.wait()
            server.shutdown()
    if "error" in report:
        sys.stderr.write(f"{report['error']}\n")
        return 1
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
