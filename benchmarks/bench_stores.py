"""What reading a metric store costs beside the reading of its answers' bytes. Less than a minute.

    python benchmarks/bench_stores.py [--names 400]

Debian's Prometheus on a free port of 127.0.0.1 holds 400 names x 3 operations x 2 clusters, 480 points a minute apart.
One run prints both: the adapter's fetch of all of it on one grid, and bare httpx reads of those very answers, four at
once, nothing parsed.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from include.adapters.prometheus_metrics import CONCURRENCY, PrometheusMetrics
from tests.support.prometheus_server import ABSENT, IS_HERE, Family, serve_prometheus

START = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
POINTS, STEP = 480, 60
CLUSTERS, OPERATIONS = ("baseline", "canary"), ("get", "list", "put")
ROUNDS = 3


def families(names: int) -> Iterator[Family]:
    dice = random.Random(1)
    first = START.timestamp() + STEP / 2
    for n in range(names):
        series = [
            ({"cluster": cluster, "op": op}, [(first + k * STEP, dice.lognormvariate(4, 0.3)) for k in range(POINTS)])
            for cluster in CLUSTERS
            for op in OPERATIONS
        ]
        yield Family(f"metric_{n}", "gauge", series)


def read_bare(url: str, bodies: list[dict[str, str]]) -> int:
    """The bytes of all answers, unparsed."""
    with httpx.Client(timeout=30, headers={"Accept-Encoding": "identity"}) as client:

        def read(body: dict[str, str]) -> int:
            return len(client.post(f"{url}/api/v1/query_range", data=body).raise_for_status().content)

        with ThreadPoolExecutor(CONCURRENCY) as pool:
            return sum(pool.map(read, bodies))


def bench(url: str, names: list[str]) -> None:
    scopes = {f"{cluster}/{op}": {"cluster": cluster, "op": op} for cluster in CLUSTERS for op in OPERATIONS}
    bodies: list[dict[str, str]] = []

    def note(request: httpx.Request) -> None:
        if request.url.path.endswith("query_range"):
            bodies.append(dict(httpx.QueryParams(request.content.decode())))

    whole, bare, size = [], [], 0
    for _ in range(ROUNDS):  # in turn, best of each: a busy machine must not favour one of the two
        bodies.clear()
        client = httpx.Client(timeout=30, event_hooks={"request": [note]})
        with PrometheusMetrics(url, client=client) as store:
            begin = time.perf_counter()
            grid = store.fetch(names, scopes, START, START + timedelta(seconds=STEP * POINTS), STEP)
            whole.append(time.perf_counter() - begin)
        assert not grid.errors and not np.isnan(grid.values).any()
        begin = time.perf_counter()
        size = read_bare(url, bodies)
        bare.append(time.perf_counter() - begin)
    series = len(names) * len(scopes)
    print(f"prometheus: {series:,} series x {POINTS} points = {size / 1e6:.0f} MB in {len(bodies)} queries")
    print(f"            fetched onto one grid in {min(whole):.2f} s ({series / min(whole):,.0f} series/s)")
    print(f"            bare httpx read of those answers: {min(bare):.2f} s; ratio {min(whole) / min(bare):.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--names", type=int, default=400)
    chosen = arguments.parse_args()
    if not IS_HERE:
        print(f"skipped: {ABSENT}")
        return
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with serve_prometheus(Path(folder), families(chosen.names)) as url:
            print(f"prometheus: filled and started in {time.perf_counter() - begin:.0f} s")
            bench(url, [f"metric_{n}" for n in range(chosen.names)])


if __name__ == "__main__":
    main()
