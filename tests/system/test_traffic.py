"""The traffic service as a process: waits for the application, sends, counts, survives, ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.support import sample_application as sample
from tests.support.processes import listening_addresses, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

PORT = 28365
ADDRESS = "127.80.1.60"
BALANCERS = """<DescribeLoadBalancersResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">
<DescribeLoadBalancersResult><LoadBalancers><member><LoadBalancerArn>arn:aws:elasticloadbalancing:r:1:loadbalancer/x
</LoadBalancerArn><DNSName>{address}</DNSName></member></LoadBalancers></DescribeLoadBalancersResult>
</DescribeLoadBalancersResponse>"""
LISTENERS = """<DescribeListenersResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">
<DescribeListenersResult><Listeners><member><Port>{port}</Port></member></Listeners></DescribeListenersResult>
</DescribeListenersResponse>"""


@contextmanager
def balancer_of(address: str, port: int) -> Iterator[int]:
    """An ELBv2 that knows one balancer, the same in every region."""

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        text = LISTENERS.format(port=port) if "DescribeListeners" in body else BALANCERS.format(address=address)
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [text.encode()]

    server = make_server("127.0.0.1", 0, application, request_handler=sample._SilentHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(path: str, body: dict[str, object] | None = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", data, timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, {}


@contextmanager
def traffic(home: Path, cloud_port: int, rps: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "REDSTART_HOME": str(home),
        "REDSTART_CLOUD_PORT": str(cloud_port),
        "REDSTART_TRAFFIC_PORT": str(PORT),
        "REDSTART_TRAFFIC_RPS": rps,
    }
    process = subprocess.Popen([sys.executable, "-m", "include.services.traffic"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def sent_by(written: Path) -> int:
    return int(json.loads(written.read_text())["total"]["sent"])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_traffic_waits_sends_counts_and_goes_on_after_kill_9(tmp_path: Path) -> None:
    sample.unpack(sample.copy_source(tmp_path / "tree"), tmp_path / "root", "7")
    home, rates = tmp_path / "home", "us-east-1=140,us-west-2=50,eu-west-1=50"
    written = home / "traffic.json"
    with (
        sample.small_cloud() as metrics,
        balancer_of(ADDRESS, sample.PORT) as cloud_port,
        traffic(home, cloud_port, rates) as process,
    ):
        wait_until(lambda: ask("/health")[0] == 503, what="the service listens")
        assert "us-west-2" in ask("/health")[1]["waiting_for"]
        with sample.instance(tmp_path / "root", metrics, ADDRESS, "api-main-v000"):
            wait_until(lambda: ask("/health")[0] == 200, seconds=20, what="traffic flows")
            began, cpu = time.monotonic(), cpu_seconds(process.pid)
            # Read from the file: asking every 10 ms would be most of the work.
            wait_until(lambda: written.exists() and sent_by(written) > 1500, seconds=20)
            share_pct = 100 * (cpu_seconds(process.pid) - cpu) / (time.monotonic() - began)
            print(f"traffic: {share_pct:.1f} % of a core at 240 requests/s")
            assert listening_addresses(process.pid) == {("127.0.0.1", PORT)}
            assert ask("/rps", {"us-east-1": 5})[1]["rps"]["us-east-1"] == 5
            assert ask("/rps", {"moon": 5})[0] == 400
            assert (ask("/nowhere")[0], ask("/rps")[0]) == (404, 405)
            total = ask("/counters")[1]["total"]
            assert total["failed"] == 0
            assert set(total["by_group"]) == {"api-main-v000"} and set(total["by_version"]) == {"7"}
            wait_until(lambda: sent_by(written) >= total["sent"], seconds=5)
            process.kill()
            process.wait()
            with traffic(home, cloud_port, rates) as again:
                wait_until(lambda: ask("/counters")[1].get("total", {}).get("sent", 0) > total["sent"] + 200)
                again.send_signal(signal.SIGTERM)
                assert again.wait(5) == 0
    kept = json.loads((home / "traffic.json").read_text())["total"]
    assert (kept["failed"], kept["under_way"]) == (0, 0)
