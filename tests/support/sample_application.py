"""The sample application as instances of a small cloud: real builds and processes, metadata service and CloudWatch."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
from werkzeug.serving import WSGIRequestHandler, make_server

from include.loadgen import Counters, Generator, Mix, Plan, Target, new_event_loop
from include.localcloud.cloudwatch import CloudWatch
from include.localcloud.metadata import PREFIX, InstanceFacts, MetadataService
from tests.support.processes import answers, wait_until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SOURCE = EXAMPLES / "api"
PORT = 7001
REGION = "us-east-1"


def load_example(path: str) -> ModuleType:
    """A script of examples/ as a module; examples is no package."""
    spec = importlib.util.spec_from_file_location(f"example_{Path(path).stem}", EXAMPLES / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def copy_source(folder: Path, variant: str = "", number: int = 1) -> Path:
    """A work tree of the application, a variant applied."""
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    if variant:
        load_example("variants/apply.py").apply_variant(folder, variant, number)
    return folder


def run_python(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python3 <arguments>` in the work tree, with an environment as empty as a build's."""
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def mix() -> Mix:
    return Mix.from_document(tomllib.loads((SOURCE / "traffic.toml").read_text()), source="traffic.toml")


class SystemClock:
    def now(self) -> float:
        return time.time()


class _SilentHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Requests of a test are not worth a line."""


@dataclass(frozen=True)
class SmallCloud:
    """Metadata service and CloudWatch on one port; `facts` is what the former knows, by instance id."""

    port: int
    facts: dict[str, InstanceFacts]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        return boto3.client(
            "cloudwatch",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="AKPROD",
            aws_secret_access_key="x",
        )

    def names(self, namespace: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        """(metric name, dimensions) of all that was published."""
        pages = self.client().get_paginator("list_metrics").paginate(Namespace=namespace)
        return {
            (metric["MetricName"], tuple((one["Name"], one["Value"]) for one in metric["Dimensions"]))
            for page in pages
            for metric in page["Metrics"]
        }

    def values(
        self, namespace: str, names: Sequence[str], dimensions: Mapping[str, str], statistic: str
    ) -> dict[str, dict[float, float]]:
        """Metric name -> {timestamp: value}, per period of 5 s."""
        wanted = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        queries = [
            {
                "Id": f"q{place}",
                "MetricStat": {
                    "Metric": {"Namespace": namespace, "MetricName": name, "Dimensions": wanted},
                    "Period": 5,
                    "Stat": statistic,
                },
            }
            for place, name in enumerate(names)
        ]
        now = time.time()
        answer = self.client().get_metric_data(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(now // 5 * 5 - 600, UTC),
            EndTime=datetime.fromtimestamp(now + 5, UTC),
        )
        found = {result["Id"]: result for result in answer["MetricDataResults"]}
        return {
            name: {
                moment.timestamp(): value
                for moment, value in zip(found[f"q{place}"]["Timestamps"], found[f"q{place}"]["Values"], strict=True)
            }
            for place, name in enumerate(names)
        }

    def total(self, group: str, name: str) -> float:
        return sum(self.values("Api", [name], {"AutoScalingGroupName": group}, "Sum")[name].values())


@contextmanager
def small_cloud() -> Iterator[SmallCloud]:
    facts: dict[str, InstanceFacts] = {}
    metadata, metrics = MetadataService(facts.get), CloudWatch(SystemClock(), lambda key: "123456789012")

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        is_metadata = str(environ.get("PATH_INFO", "")).startswith(PREFIX)
        return (metadata if is_metadata else metrics)(environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_SilentHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield SmallCloud(server.port, facts)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class RunningInstance:
    address: str
    process: subprocess.Popen[bytes]
    console: Path

    @property
    def target(self) -> Target:
        return Target(self.address, PORT)

    @property
    def memory_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


def unpack(folder: Path, root: Path, version: str) -> None:
    """Build the work tree by its own command, and put the archive onto the machine's disk `root`."""
    archive = folder / "api.tar.gz"
    done = run_python(folder, "build.py", "--out", str(archive), BUILD_VERSION=version, BUILD_COMMIT="c0ffee")
    assert done.returncode == 0, done.stderr
    with tarfile.open(archive) as packed:
        packed.extractall(root, filter="data")


@contextmanager
def instance(
    root: Path, cloud: SmallCloud, address: str, group: str, *, metrics_url: str = ""
) -> Iterator[RunningInstance]:
    """The application of `root` booted as the local cloud boots it; ended on the way out."""
    instance_id = f"i-{address.replace('.', '')}"
    tags = {"aws:autoscaling:groupName": group}
    cloud.facts[instance_id] = InstanceFacts(
        instance_id, "123456789012", REGION, f"{REGION}a", address, "ami-1", tags=tags
    )
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "AWS_ENDPOINT_URL": metrics_url or cloud.url,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{cloud.url}{PREFIX}{instance_id}",
        "INSTANCE_ROOT": str(root),
    }
    console = root / "console.log"
    with console.open("wb") as output:
        process = subprocess.Popen(
            [str(root / "opt/app/run")], cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    running = RunningInstance(address, process, console)
    try:
        wait_until(lambda: answers(address, PORT) == 404, what=f"{group} answers")
        yield running
    finally:
        process.kill()
        process.wait()


def send_load(plans: Mapping[str, Plan], seconds: float) -> dict[str, Generator]:
    """Carry out the plans side by side in this process; the generators have the counters."""
    generators: dict[str, Generator] = {}

    async def run() -> None:
        generators.update({name: Generator(plan) for name, plan in plans.items()})
        await asyncio.gather(*(generator.run_for(seconds) for generator in generators.values()))

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run())
    return generators


def failed(generators: Mapping[str, Generator]) -> dict[str, Counters]:
    return {name: one.counters() for name, one in generators.items() if one.counters().failed}
