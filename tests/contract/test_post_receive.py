"""The hook that docs/triggers.md offers, in a real repository: it tells each branch, and waits for nobody."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from include.apps.webhook import Ignored, Push, read_push
from tests.support.git import Origin, git, make_origin

DOCS = Path(__file__).parents[2] / "docs" / "triggers.md"
SECRET = "a secret of this test"
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Host(ThreadingHTTPServer):
    """Takes what the hook sends, and keeps everybody waiting while it `hangs`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.told: list[Push | Ignored] = []
        self.hangs = threading.Event()
        self.goes_on = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Host

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.server.hangs.is_set():
            self.server.goes_on.wait(20)
        self.server.told.append(read_push(headers, body, SECRET))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.goes_on.set()
        server.shutdown()


@pytest.fixture
def origin(tmp_path: Path, host: Host) -> Origin:
    origin = make_origin(tmp_path)
    header = tmp_path / "header"
    header.write_text(f"X-Gitlab-Token: {SECRET}\n")
    script = DOCS.read_text().partition("```sh\n")[2].partition("```")[0]
    url = f"http://127.0.0.1:{host.server_address[1]}/redstart/webhook"
    for old, new in (
        ("https://airflow.example.org/redstart/webhook", url),
        ("/etc/redstart-webhook-header", str(header)),
    ):
        assert old in script
        script = script.replace(old, new)
    hook = Path(origin.url, "hooks", "post-receive")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script)
    hook.chmod(0o755)
    return origin


def await_told(host: Host, count: int) -> list[Push | Ignored]:
    deadline = time.monotonic() + 20
    while len(host.told) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    return host.told


def test_a_push_is_told_as_the_webhook_reads_it(origin: Origin, host: Host) -> None:
    commit = origin.commit("prod", {"a": "1"})
    assert await_told(host, 1) == [Push("api", "prod", commit)]


def test_a_branch_that_goes_and_a_tag_start_nothing(origin: Origin, host: Host) -> None:
    git(origin.work, "push", "--quiet", "origin", ":refs/heads/test", "HEAD:refs/tags/v1")
    assert {type(one) for one in await_told(host, 2)} == {Ignored}


def test_a_host_that_hangs_holds_up_no_push(origin: Origin, host: Host) -> None:
    host.hangs.set()
    began = time.monotonic()
    commit = origin.commit("prod", {"a": "1"})
    assert time.monotonic() - began < 10
    assert host.told == []
    host.goes_on.set()
    assert await_told(host, 1) == [Push("api", "prod", commit)]
