"""Time to safe while black is warm: how long a rollback takes from the decision until no request meets the bad group.

    python benchmarks/bench_rollback.py [--rounds 7]

Real local cloud, Envoy and requests in three regions, no Airflow, the severe path. Each round goes back to the group
that the round before left. Yardstick of the same run: a bare modify_listener that swaps the same two groups, until
the first answer of the group that was black.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cloud_site import Cloud, CloudSite, running_cloud
from include.redblack import Done
from tests.support.push_tasks import push_tasks, rollback_tasks
from tests.support.stack import wait_for

OCTET = 160
RPS = 40.0
GOAL_SECONDS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="in each of three regions")
    options = parser.parse_args()
    with running_cloud(OCTET) as cloud:
        cloud.set_rps({site.region: RPS for site in cloud.sites})
        with ThreadPoolExecutor(len(cloud.sites)) as pool:
            list(pool.map(push, cloud.sites))
        before = cloud.counters()["total"]
        found = [pair for number in range(options.rounds) for pair in one_round(cloud, number)]
        bare = [swap_bare(site) for _ in range(options.rounds) for site in cloud.sites]
        after = cloud.counters()["total"]
    report(found, bare, after["sent"] - before["sent"], after["failed"] - before["failed"])


def push(site: CloudSite) -> None:
    end = push_tasks(site, site.push_goal("first", site.copy_image("first"))).run()
    assert isinstance(end, Done), end.sentence


def one_round(cloud: Cloud, number: int) -> list[tuple[float, float]]:
    """(Seconds until the listener has no bad group, until a client sees none), of each region."""
    with ThreadPoolExecutor(len(cloud.sites)) as pool:
        return list(pool.map(lambda site: roll_back(site, f"back-{number}"), cloud.sites))


def roll_back(site: CloudSite, run: str) -> tuple[float, float]:
    good, _ = black_and_serving(site)
    tasks = rollback_tasks(site, site.rollback_goal(run, to=good))
    with ThreadPoolExecutor(1) as pool:
        begun, started = time.monotonic(), site.now()
        seen = pool.submit(seconds_until_only, site, good, begun)
        end = tasks.run()
        assert isinstance(end, Done), end.sentence
        client_seconds = seen.result()
    events = site.ledger.events(place=tasks.place, run=run)
    safe = next(one.event.at for one in events if one.event.kind == "rollback.safe")
    return (safe - started).total_seconds(), client_seconds


def swap_bare(site: CloudSite) -> float:
    """The two groups' weights by one call, until the first answer of the one that was black."""
    good, bad = black_and_serving(site)
    elb = site.client("elbv2")
    arns = {one["TargetGroupName"]: one["TargetGroupArn"] for one in elb.describe_target_groups()["TargetGroups"]}
    balancer = elb.describe_load_balancers(Names=["api-main"])["LoadBalancers"][0]["LoadBalancerArn"]
    listener = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"]
    weights = [{"TargetGroupArn": arns[good], "Weight": 100}, {"TargetGroupArn": arns[bad], "Weight": 0}]
    begun = time.monotonic()
    action: dict[str, Any] = {"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}
    elb.modify_listener(ListenerArn=listener, DefaultActions=[action])
    with httpx.Client() as client:
        wait_for(lambda: group_of(site, client) == good, 30, f"{good} answers", every=0.01)
    return time.monotonic() - begun


def black_and_serving(site: CloudSite) -> tuple[str, str]:
    groups = sorted(site.fleet().view_cluster(site.cluster).groups, key=lambda one: one.weight)
    return groups[0].name, groups[-1].name


def seconds_until_only(site: CloudSite, good: str, begun: float) -> float:
    """Until the last answer of another group, by asking all the time until 50 in a row are `good`'s."""
    last, row = begun, 0
    with httpx.Client() as client:
        while row < 50:
            is_good = group_of(site, client) == good
            row = row + 1 if is_good else 0
            last = last if is_good else time.monotonic()
            time.sleep(0.01)
            assert time.monotonic() - begun < 60, f"{good} never has all traffic of {site.region}"
    return last - begun


def group_of(site: CloudSite, client: httpx.Client) -> str:
    answer = client.get(f"http://{site.address}/healthcheck", timeout=5)
    return answer.headers.get("x-served-by", "").partition("/")[0]


def report(found: list[tuple[float, float]], bare: list[float], sent: int, failed: int) -> None:
    for name, values in (
        ("decision to safe (listener)", [one for one, _ in found]),
        ("decision to the last bad answer (client)", [one for _, one in found]),
        ("yardstick: bare modify_listener to the first answer", bare),
    ):
        ordered = sorted(values)
        median, p95 = ordered[len(ordered) // 2], ordered[-(-95 * len(ordered) // 100) - 1]
        print(f"{name}: median {median:.2f} s, p95 {p95:.2f} s, most {ordered[-1]:.2f} s ({len(ordered)} times)")
    print(f"goal: p95 within {GOAL_SECONDS:g} s; {sent} requests meanwhile, {failed} failed")


if __name__ == "__main__":
    main()
