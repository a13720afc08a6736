"""What the local cloud's CloudWatch costs: ingest, reading, memory. Less than a minute.

    python benchmarks/bench_cloudwatch.py [--full] [--ingest-seconds 8]

The server is a process of its own on a free port of 127.0.0.1. Reading prints both numbers of one run: all pages of
500 queries x 480 points through boto3, and botocore's own parsing of those very answers; the goal is a ratio under
2.5. Ingest plays agents that publish with plain HTTP; the goal is under 8 % of a core at 3,000 datums/s.
`--full` also feeds one hour of 15 instances x 1,150 series / 5 s to a store in this process and prints what it took.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import logging
import multiprocessing
import os
import random
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import boto3
from botocore.parsers import create_parser
from werkzeug.serving import make_server

from include.localcloud.cloudwatch import CloudWatch
from include.localcloud.cloudwatch.ingest import read_put

QUERIES, POINTS, STEP = 500, 480, 5
ROUNDS = 3
SCOPE = "Credential=AKBENCH/20260101/us-east-1/monitoring/aws4_request"
NAMESPACE = "Api"


class WallClock:
    def now(self) -> float:
        return time.time()


def serve(pipe: Connection) -> None:
    cloud = CloudWatch(WallClock(), lambda _key: "123456789012")
    server = make_server("127.0.0.1", 0, cloud, threaded=True)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    pipe.send(server.port)
    server.serve_forever()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def put(port: int, datums: list[dict[str, Any]], *, compress: bool = False) -> None:
    body = json.dumps({"Namespace": NAMESPACE, "MetricData": datums}).encode()
    headers = {
        "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": f"AWS4-HMAC-SHA256 {SCOPE}, SignedHeaders=host, Signature=0",
    }
    if compress:
        body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"PutMetricData: {answer.status} {text!r}")


def datum(name: str, group: str, at: float, value: float) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group}],
        "Timestamp": at,
        "Value": value,
        "StorageResolution": 1,
    }


def bench_ingest(port: int, pid: int, *, seconds: float, compress: bool) -> None:
    """15 agents, 1,000 datums a request, 3,000 datums/s."""
    dice = random.Random(1)
    pool = [
        [datum(f"endpoint.e{n}.latency_p99_ms", f"api-main-v{g:03}", 0, dice.random() * 100) for n in range(1000)]
        for g in range(5)
    ]
    begin, used, sent = time.perf_counter(), cpu_seconds(pid), 0
    while (elapsed := time.perf_counter() - begin) < seconds:
        datums = pool[sent % 5]
        at = time.time()
        for one in datums:
            one["Timestamp"] = at
        put(port, datums, compress=compress)
        sent += 1
        time.sleep(max(0.0, sent / 3 - elapsed))
    elapsed = time.perf_counter() - begin
    share = (cpu_seconds(pid) - used) / elapsed
    kind = "gzip" if compress else "plain"
    print(f"ingest ({kind}): {sent * 1000 / elapsed:,.0f} datums/s cost {share:.1%} of a core (goal < 8%)")


def bench_read(port: int, pid: int) -> None:
    dice = random.Random(2)
    now = time.time() // STEP * STEP
    start = now - POINTS * STEP
    for point in range(POINTS):
        data = [datum(f"m{n}", "read", start + point * STEP, dice.random() * 100) for n in range(QUERIES)]
        put(port, data)
    client = boto3.client(
        "cloudwatch",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="AKBENCH",
        aws_secret_access_key="x",
    )
    bodies: list[bytes] = []
    client.meta.events.register(
        "before-parse.cloudwatch.GetMetricData", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    metric = {"Namespace": NAMESPACE, "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "read"}]}
    queries = [
        {"Id": f"q{n}", "MetricStat": {"Metric": {**metric, "MetricName": f"m{n}"}, "Period": STEP, "Stat": "Average"}}
        for n in range(QUERIES)
    ]
    span = {"StartTime": datetime.fromtimestamp(start, UTC), "EndTime": datetime.fromtimestamp(now, UTC)}
    shape = client.meta.service_model.operation_model("GetMetricData").output_shape
    parser = create_parser(client.meta.service_model.resolved_protocol)
    whole, parsing, used = [], [], cpu_seconds(pid)
    for _ in range(ROUNDS):  # in turn, best of each: a busy machine must not favour one of the two
        bodies.clear()
        begin, count, pages = time.perf_counter(), 0, 0
        for page in client.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, **span):
            count += sum(len(result["Values"]) for result in page["MetricDataResults"])
            pages += 1
        whole.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        for body in bodies:
            parser.parse({"status_code": 200, "headers": {}, "body": body}, shape)
        parsing.append(time.perf_counter() - begin)
    server = (cpu_seconds(pid) - used) / ROUNDS
    print(f"read: {QUERIES} queries x {POINTS} points = {count:,} points in {pages} pages: {min(whole):.2f} s")
    ratio = min(whole) / min(parsing)
    print(f"      botocore's own parsing of those answers: {min(parsing):.2f} s; ratio {ratio:.2f} (goal < 2.5)")
    print(f"      the server's share: {server:.2f} s of CPU; server holds {resident_mb(pid):.0f} MB")


def bench_memory(instances: int = 15, groups: int = 5, series: int = 1150, hours: float = 1.0) -> None:
    """Values as an agent's: a third counts, a third constants, a third real-valued latencies."""

    class Moved:
        at = 1_800_000_000.0

        def now(self) -> float:
            return self.at

    clock, dice = Moved(), random.Random(3)
    cloud = CloudWatch(clock, lambda _key: "123456789012")
    before, begin = resident_mb(os.getpid()), time.perf_counter()
    partition = cloud.store.partition("123456789012", "us-east-1", NAMESPACE)
    datums = 0
    for tick in range(int(hours * 3600 / STEP)):
        clock.at += STEP
        for instance in range(instances):
            base = dice.random()
            data = [
                datum(
                    f"s{n}",
                    f"g{instance % groups}",
                    clock.at,
                    base * (n + tick % 7) if n % 3 == 0 else float(int(base * 50)) if n % 3 == 1 else 0.0,
                )
                for n in range(series)
            ]
            for part in (data[:1000], data[1000:]):
                partition.append(read_put({"Namespace": NAMESPACE, "MetricData": part}, clock.at)[1])
            datums += series
        cloud.store.sweep_if_due(clock.at)
    grown = resident_mb(os.getpid()) - before
    print(
        f"memory: {instances} instances x {series} series / {STEP} s for {hours:g} h = {datums:,} datums: "
        f"{grown:.0f} MB ({grown * 1e6 / datums:.1f} bytes a datum), {cloud.store.count_samples():,} samples kept, "
        f"made and fed in {time.perf_counter() - begin:.0f} s"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--full", action="store_true", help="measure one hour's memory as well (about 2 minutes)")
    arguments.add_argument("--hours", type=float, default=1.0)
    arguments.add_argument("--ingest-seconds", type=float, default=8.0)
    chosen = arguments.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    try:
        port, pid = here.recv(), server.pid
        assert pid is not None
        for compress in (False, True):
            bench_ingest(port, pid, seconds=chosen.ingest_seconds, compress=compress)
        bench_read(port, pid)
    finally:
        server.terminate()
        server.join()
    if chosen.full:
        bench_memory(hours=chosen.hours)


if __name__ == "__main__":
    main()
