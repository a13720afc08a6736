"""From a developer's push to a DAG run: found by the poll, and by a webhook's nudge; and both at once.

    python benchmarks/bench_commit_to_run.py [--polls 10] [--nudges 20] [--both 30]

A whole stack with real git, the scheduler, the triggerer and the webhook's route over HTTP. A run counts from the
moment at which Airflow has it (queued_at), which is also told for one that is started by Airflow's REST API: that is
the yardstick, in the same minutes. The commits do not build, so that their runs end soon. At last commits come faster
than runs end, each with a nudge, some with two: each must be the subject of, or named as superseded in, one run.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))

from tests.support.commit_stream import CommitStream, Started
from tests.support.stack import running_demo, stack_environment, wait_for

OCTET = 180
POLL_GOAL_SECONDS = 15.0
NUDGE_GOAL_SECONDS = (3.0, 8.0)
HAND_STARTED = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polls", type=int, default=10)
    parser.add_argument("--nudges", type=int, default=20)
    parser.add_argument("--both", type=int, default=30)
    options = parser.parse_args()
    environment = stack_environment(Path(tempfile.mkdtemp(prefix="redstart-bench-")), octet=OCTET)
    environment["REDSTART_TRAFFIC_RPS"] = "us-east-1=2,us-west-2=2,eu-west-1=2"  # nobody measures it here
    chance = random.Random(5)
    with running_demo(environment) as demo:
        stream = CommitStream(demo)
        stream.await_idle()
        by_hand = [stream.time_by_hand() for _ in range(HAND_STARTED)]
        polled = []
        for _ in range(options.polls):
            time.sleep(chance.uniform(0, demo.app.source.poll_seconds))  # wherever the poll is
            polled.append(stream.time_commit(is_nudged=False))
        nudged = [stream.time_commit(is_nudged=True) for _ in range(options.nudges)]
        commits = [push_with_nudges(stream, chance) for _ in range(options.both)]
        wait_for(lambda: commits[-1] in stream.accounts(), 120, "the last commit is told of")
        stream.await_idle()
        accounts = {commit: stream.accounts().get(commit, []) for commit in commits}
    tell("yardstick: started by the REST API", by_hand)
    tell(f"found by the poll of every {demo.app.source.poll_seconds:g} s", polled)
    tell("after a webhook's nudge", nudged)
    problems = judge(polled, nudged, accounts)
    runs = {told for tolds in accounts.values() for told in tolds if told.startswith("commit.selected")}
    print(f"{len(commits)} commits by poll and nudge at once: {len(runs)} the subject of a run, the others named there")
    for problem in problems:
        print(f"MISSED: {problem}")
    return 1 if problems else 0


def push_with_nudges(stream: CommitStream, chance: random.Random) -> str:
    commit = stream.commit()
    for _ in range(chance.choice((1, 1, 2))):
        stream.nudge(commit)
    time.sleep(chance.uniform(0.1, 3.0))
    return commit


def tell(what: str, found: Sequence[Started]) -> None:
    if not found:
        return
    for name, values in (
        ("it is there", [one.to_run for one in found]),
        ("it runs", [one.to_running for one in found]),
    ):
        median, p95, most = percentiles(values)
        print(f"{what}, until {name}: median {median:.2f} s, p95 {p95:.2f} s, most {most:.2f} s ({len(values)})")


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[-(-95 * len(ordered) // 100) - 1], ordered[-1]


def judge(polled: Sequence[Started], nudged: Sequence[Started], accounts: dict[str, list[str]]) -> list[str]:
    problems = [f"a poll took {one.to_run:.1f} s" for one in polled if one.to_run > POLL_GOAL_SECONDS]
    if nudged:
        median, p95, _ = percentiles([one.to_run for one in nudged])
        if median > NUDGE_GOAL_SECONDS[0] or p95 > NUDGE_GOAL_SECONDS[1]:
            problems.append(f"nudges took {median:.1f} s (median), {p95:.1f} s (p95)")
    return problems + [f"{commit[:10]}: {told or 'in no run'}" for commit, told in accounts.items() if len(told) != 1]


if __name__ == "__main__":
    sys.exit(main())
