"""No request lost: push, rollback and push again in three regions at once, real processes and Envoy, no Airflow.

    python benchmarks/bench_push.py [--requests 100000] [--rps 150] [--kill]

Rounds go on until so many requests were sent. With `--kill` one instance in traffic dies in every phase; what fails
between its death and its unhealthy mark is counted apart. Overhead of a push = its wall time less boot, health
thresholds and configured waits. Takes six minutes at the default rate.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cloud_site import CHECKS, SIDE_BY_SIDE_SECONDS, WATCH_SECONDS, Cloud, CloudSite, running_cloud
from include.ledger import Kind
from include.redblack import Done
from tests.support.push_tasks import Tasks, push_tasks, rollback_tasks
from tests.support.stack import wait_for

OCTET = 150
SETTLE_SECONDS = 3.0
"""Requests under way when an instance is marked may still fail this much later."""


@dataclass
class Findings:
    overheads: list[float] = field(default_factory=list)
    safe_seconds: list[float] = field(default_factory=list)
    apart: int = 0
    windows: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rps", type=float, default=150.0, help="of each region")
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    with running_cloud(OCTET) as cloud:
        cloud.set_rps({site.region: options.rps for site in cloud.sites})
        print(f"{options.rps:g} requests/s in each of {len(cloud.sites)} regions")
        first, found = cloud.counters()["total"], Findings()
        rounds = 0
        while rounds == 0 or cloud.counters()["total"]["sent"] - first["sent"] < options.requests:
            rounds += 1
            run_round(cloud, rounds, found, kills=options.kill)
        time.sleep(SETTLE_SECONDS)
        report(first, cloud.counters()["total"], found, rounds)


def run_round(cloud: Cloud, number: int, found: Findings, *, kills: bool) -> None:
    """Push, rollback, push again, each in all regions at once."""
    for phase in ("push", "rollback", "push again"):
        killer = threading.Thread(target=kill_one, args=(cloud, found)) if kills else None
        if killer:
            killer.start()
        begun = time.monotonic()
        run = f"{phase}-{number}".replace(" ", "-")
        with ThreadPoolExecutor(len(cloud.sites)) as pool:
            for done in [pool.submit(run_phase, site, phase, run, found) for site in cloud.sites]:
                done.result()
        if killer:
            killer.join()
        failed = cloud.counters()["total"]["failed"]
        print(f"round {number}, {phase}: {time.monotonic() - begun:.0f} s, {failed} failed so far")


def run_phase(site: CloudSite, phase: str, run: str, found: Findings) -> None:
    begun = time.monotonic()
    if phase == "rollback":
        tasks = rollback_tasks(site, site.rollback_goal(run))
    else:
        image = site.copy_image(run)
        begun = time.monotonic()
        tasks = push_tasks(site, site.push_goal(run, image))
    end = tasks.run()
    assert isinstance(end, Done), end.sentence
    seconds = time.monotonic() - begun
    with found.lock:
        if phase == "rollback":
            found.safe_seconds.append(seconds_to_safe(tasks))
        else:
            found.overheads.append(seconds - due_seconds(site))


def due_seconds(site: CloudSite) -> float:
    """What a push must take: boot, health thresholds, configured waits."""
    health = CHECKS.healthy_threshold * CHECKS.check_interval_seconds
    return site.settings.boot_seconds + health + SIDE_BY_SIDE_SECONDS + WATCH_SECONDS


def seconds_to_safe(tasks: Tasks) -> float:
    """From the claim of the cluster until the bad group had no traffic, by the ledger."""
    moments = {one.event.kind: one.event.at for one in tasks.site.ledger.events(run=tasks.claim.owner)}
    return (moments[Kind.ROLLBACK_SAFE] - moments[Kind.LOCK_CLAIMED]).total_seconds()


def kill_one(cloud: Cloud, found: Findings) -> None:
    """kill -9 of one instance in traffic; what fails until the balancer has marked it is counted apart."""
    site = cloud.sites[0]
    time.sleep(5)
    victim = next(one.instance_id for one in site.serving().instances if one.is_serving)
    before, begun = cloud.counters()["total"]["failed"], time.monotonic()
    cloud.kill_instance(victim)
    wait_for(lambda: victim not in site.healthy_ids(), 60, f"{victim} is marked", every=0.1)
    seconds = time.monotonic() - begun
    time.sleep(SETTLE_SECONDS)
    with found.lock:
        found.apart += cloud.counters()["total"]["failed"] - before
        found.windows.append(seconds)


def report(first: dict[str, float], last: dict[str, float], found: Findings, rounds: int) -> None:
    sent, failed = (int(last[key] - first[key]) for key in ("sent", "failed"))
    if found.windows:
        shown = f"{found.apart} between a kill and its mark ({', '.join(f'{one:.1f}' for one in found.windows)} s)"
        print(f"{sent} requests, {failed - found.apart} failed; apart: {shown}")
    else:
        print(f"{sent} requests, {failed} failed, in {rounds} rounds of push, rollback, push in three regions")
    overheads, safe = sorted(found.overheads), sorted(found.safe_seconds)
    print(
        f"push overhead a region: median {overheads[len(overheads) // 2]:.1f} s, most {overheads[-1]:.1f} s (goal 30)"
    )
    print(f"rollback, decision to safe: median {safe[len(safe) // 2]:.1f} s, most {safe[-1]:.1f} s")


if __name__ == "__main__":
    main()
