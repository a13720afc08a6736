"""Debian's Prometheus on a free port of 127.0.0.1, filled with samples of chosen times; and a door that misbehaves."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

from include.services.processes import die_with_parent
from tests.support.processes import listening_addresses, wait_until

IS_HERE = bool(shutil.which("prometheus") and shutil.which("promtool"))
ABSENT = "Debian's prometheus is not installed (apt-get install --no-install-recommends prometheus)"


@dataclass(frozen=True)
class Family:
    """Series of one name: `samples` gives (labels, [(seconds since the epoch, value), ...]), times ascending."""

    name: str
    kind: str
    samples: Iterable[tuple[Mapping[str, str], Iterable[tuple[float, float]]]]


def write_openmetrics(families: Iterable[Family], file: IO[str]) -> None:
    for family in families:
        # A counter's family is its name without _total.
        file.write(f"# TYPE {family.name.removesuffix('_total')} {family.kind}\n")
        for labels, points in family.samples:
            inside = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
            file.writelines(f"{family.name}{{{inside}}} {value!r} {at:.3f}\n" for at, value in points)
    file.write("# EOF\n")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@contextmanager
def serve_prometheus(folder: Path, families: Iterable[Family]) -> Iterator[str]:
    """The server's address, once it is ready; it holds exactly these samples, kept for ever, and scrapes nothing."""
    text, data, settings = folder / "samples.txt", folder / "data", folder / "prometheus.yml"
    with text.open("w") as file:
        write_openmetrics(families, file)
    backfill = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(data)]
    done = subprocess.run(backfill, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr or done.stdout
    settings.write_text("scrape_configs: []\n")
    command = [
        "prometheus", f"--config.file={settings}", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y",
        "--web.listen-address=127.0.0.1:0", "--log.level=warn",
    ]  # fmt: skip
    log = folder / "prometheus.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=die_with_parent())
    try:
        wait_until(lambda: _port_of(process) and _is_ready(_port_of(process)), seconds=60, what=f"ready, see {log}")
        yield f"http://127.0.0.1:{_port_of(process)}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port_of(process: subprocess.Popen[bytes]) -> int:
    assert process.poll() is None, f"prometheus ended with {process.returncode}"
    return next((port for _, port in listening_addresses(process.pid)), 0)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: str


@dataclass
class Answer:
    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class _Door(ThreadingHTTPServer):
    daemon_threads = True
    answer: Callable[[Request], Answer | None]
    spoil: Callable[[Request], Request]
    upstream: str


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Door

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, dict(self.headers), body.decode())
        answer = self.server.answer(request) or self._pass_on(self.server.spoil(request).body.encode())
        text = answer.body.encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _handle

    def _pass_on(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(self.server.upstream.removeprefix("http://"), timeout=30)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "content-length"}}
        connection.request(self.command, self.path, body, kept)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return Answer(answer.status, text)

    def log_message(self, format: str, *args: object) -> None:
        """Requests of a test are not worth a line."""


@contextmanager
def door(
    answer: Callable[[Request], Answer | None],
    upstream: str = "",
    spoil: Callable[[Request], Request] = lambda request: request,
) -> Iterator[str]:
    """An HTTP server's address that gives `answer`; where that is None, `upstream` answers what `spoil` makes of it."""
    server = _Door(("127.0.0.1", 0), _Handler)
    server.answer, server.upstream, server.spoil = answer, upstream, spoil
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
