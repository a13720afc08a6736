"""The judge server as Kayenta meets it: a real process on a free loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import selectors
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from include.services.judge_server import JudgeServer
from redstart.cli.app import app
from tests.support.judge_requests import ROOT, labels, large_request, metric, request
from tests.support.processes import listening_addresses, wait_until

TOKEN = "a-token-of-some-length-0123456789"
BEARER = {"authorization": f"Bearer {TOKEN}"}
START_SECONDS = 90.0  # a machine that compiles the kernel first


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[bytes]
    port: int

    def post(self, body: Any, *, path: str = "/judge", headers: dict[str, str] = BEARER) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(f"{self.url}{path}", content=content, headers=headers, timeout=90)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def health(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/health", timeout=10)
        assert answer.status_code == 200
        return dict(answer.json())


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    """The real command; killed at the end if it still runs."""
    command = [str(ROOT / "redstart"), "serve-judge", "--listen", "127.0.0.1:0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield Server(process, announced_port(process))
        finally:
            process.kill()


def announced_port(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(START_SECONDS), "the server did not say where it listens"
    said = process.stdout.readline().decode()
    assert "/judge" in said
    return int(said.partition("127.0.0.1:")[2].partition("/")[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(f"{TOKEN}\n")
    with serving("--token-file", str(file)) as found:
        yield found


def test_it_answers_what_the_command_answers(server: Server) -> None:
    body = request({"latency": 1.6})
    answer = server.post(body)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert labels(answer.json())["latency"] == "High"
    said = CliRunner().invoke(app, ["judge", "-"], input=json.dumps(body))
    assert answer.json() == json.loads(said.stdout)


def test_it_listens_where_it_was_told_and_nowhere_else(server: Server) -> None:
    assert listening_addresses(server.process.pid) == {("127.0.0.1", server.port)}


def test_profile_of_a_request_goes_before_the_servers(server: Server) -> None:
    body = request()
    body["canaryConfig"]["metrics"][0] = metric("latency", direction="sideways")
    assert server.post(body).status_code == 400
    taken = server.post(body, path="/judge?profile=kayenta")
    assert taken.status_code == 200
    assert taken.json()["redstart"]["profile"] == "kayenta"
    unknown = server.post(body, path="/judge?profile=netflix")
    assert (unknown.status_code, unknown.json()["place"], unknown.json()["value"]) == (400, "profile", "netflix")


@pytest.mark.parametrize("authorization", ["", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \xe9"])
def test_without_the_token_nothing_is_judged(server: Server, authorization: str) -> None:
    answer = server.post(request(), headers={"authorization": authorization.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]
    assert TOKEN not in answer.text


def test_bad_input_is_told_with_its_place_and_value(server: Server) -> None:
    body = request()
    body["metricSetPairList"][1]["values"]["control"][17] = "fast"
    answer = server.post(body)
    assert answer.status_code == 400
    told = answer.json()
    assert (told["place"], told["value"]) == ("metricSetPairList.1.values.control.17", "fast")
    assert told["place"] in told["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe\x00", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_no_request_is_refused(server: Server, body: bytes) -> None:
    answer = server.post(body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_wrong_value_is_not_sent_back_at_full_length(server: Server) -> None:
    body = {**request(), "metricSetPairList": "x" * 1_000_000}
    answer = server.post(body)
    assert answer.status_code == 400
    assert len(answer.content) < 4000


def test_other_paths_and_methods_are_answered_in_json(server: Server) -> None:
    for answer, status in (
        (httpx.get(f"{server.url}/"), 404),
        (httpx.get(f"{server.url}/judge"), 405),
        (httpx.post(f"{server.url}/health"), 405),
    ):
        assert answer.status_code == status
        assert answer.json()["error"]


def raw_head(server: Server, *lines: str) -> str:
    """The answer's head to a request whose body never comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as wire:
        wire.sendall("\r\n".join(["POST /judge HTTP/1.1", "host: judge", *lines, "", ""]).encode())
        return wire.recv(65536).decode()


def test_a_body_over_the_limit_is_refused_before_it_comes(server: Server) -> None:
    head = raw_head(server, f"authorization: Bearer {TOKEN}", f"content-length: {64 * 2**20 + 1}")
    assert " 413 " in head.splitlines()[0]
    assert "connection: close" in head.lower()


def test_a_compressed_body_is_refused(server: Server) -> None:
    assert server.post(b"\x1f\x8b", headers={**BEARER, "content-encoding": "gzip"}).status_code == 415


def test_health_answers_while_a_canary_is_judged(server: Server) -> None:
    before = server.health()
    assert before["status"] == "up"
    content = json.dumps(large_request()).encode()
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(server.post(content)))
    asking.start()
    seen = []
    while asking.is_alive():
        seen.append(server.health()["under_way"])
    asking.join()
    assert answers[0].status_code == 200
    assert len(answers[0].json()["results"]) == 1200
    assert max(seen) == 1
    assert server.health()["judged"] == before["judged"] + 1


def test_sigterm_ends_it_after_the_judgement_under_way() -> None:
    with serving("--profile", "kayenta") as server:
        content = json.dumps(large_request(metrics=400)).encode()
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(server.post(content, headers={})))
        asking.start()
        wait_until(lambda: server.health()["under_way"] or not asking.is_alive(), what="it is asked")
        server.process.terminate()
        asking.join(60)
        assert answers[0].status_code == 200
        assert answers[0].json()["redstart"]["profile"] == "kayenta"
        assert server.process.wait(40) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health")


def in_process(server: JudgeServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://judge")


async def _chunks(number: int) -> Any:
    for _ in range(number):
        yield b" " * 100


def test_a_body_without_a_length_is_limited_too() -> None:
    async def ask() -> httpx.Response:
        async with in_process(JudgeServer("redstart", body_limit_bytes=1000)) as client:
            return await client.post("/judge", content=_chunks(11))

    answer = asyncio.run(ask())
    assert answer.status_code == 413


def test_more_than_can_wait_are_sent_away() -> None:
    async def ask() -> list[int]:
        async with in_process(JudgeServer("redstart", workers=1)) as client:
            gate = asyncio.Event()

            async def slow() -> Any:
                yield b"{"
                await gate.wait()

            waiting = [asyncio.create_task(client.post("/judge", content=slow())) for _ in range(7)]
            async with asyncio.timeout(20):
                while (await client.get("/health")).json()["under_way"] < 7:
                    await asyncio.sleep(0)  # an answer without a wire never waits: the others must get their turn
            extra = await client.post("/judge", content=b"{}")
            gate.set()
            return [extra.status_code, *(answer.status_code for answer in await asyncio.gather(*waiting))]

    assert asyncio.run(ask()) == [503] + [400] * 7


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--listen", "0.0.0.0:0"], "--token-file"),
        (["--listen", "[::]:0"], "--token-file"),
        (["--listen", "8095"], "ADDRESS:PORT"),
        (["--listen", "127.0.0.1:http"], "127.0.0.1:http"),
        (["--listen", "127.0.0.1:70000"], "65535"),
        (["--listen", "127.0.0.1:0", "--token-file", "nowhere"], "nowhere"),
    ],
)
def test_a_place_where_it_must_not_listen_is_refused(options: list[str], word: str) -> None:
    done = CliRunner().invoke(app, ["serve-judge", *options])
    assert done.exit_code == 2
    assert word in done.stderr


@pytest.mark.parametrize("text", ["", "short\n", "two words of some length\n"])
def test_a_token_that_can_be_guessed_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(text)
    done = CliRunner().invoke(app, ["serve-judge", "--listen", "0.0.0.0:0", "--token-file", str(tmp_path / "token")])
    assert done.exit_code == 2
    assert "--token-file" in done.stderr


def test_a_port_that_is_taken_is_named(server: Server) -> None:
    done = subprocess.run(
        [str(ROOT / "redstart"), "serve-judge", "--listen", f"127.0.0.1:{server.port}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert str(server.port) in done.stderr
