"""What is swept in a cluster, what stays, and what is said of each; and which images the ledger keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.fleet import Capacity, ClusterRef, ClusterView, Fate, Group, Instance
from include.ledger import EVERY_REGION, Event, Holder, Kind, Lease, Place, Recorded
from include.ledger.stale import judge_lease
from include.redblack import Done, JanitorGoal, Need
from include.redblack.janitor import black_fates, next_janitor_step, pair_fates, runs_of_pairs
from include.redblack.look import Look
from include.redblack.needed import needed_images

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
CLUSTER = ClusterRef("api", "main", "us-east-1")
GOAL = JanitorGoal(CLUSTER, 4 * 3600, 1, Need(100.0))
PLACE, LINE = Place("api", "main", "us-east-1"), Place("api", "main", EVERY_REGION)


def ago(hours: float) -> str:
    return (NOW - timedelta(hours=hours)).isoformat(timespec="seconds")


def group(number: int, role: str = "main", *, weight: int = 0, hours: float = 10, **tags: str) -> Group:
    ones = tuple(Instance(f"i-{number}{i}", "a", "InService", target_state="healthy") for i in range(2))
    name = f"api-main-v{number:03d}" if role == "main" else f"api-main-{role}-v{number:03d}"
    told = {"redstart:role": role, "redstart:commit": f"c{number}", **{f"redstart:{k}": v for k, v in tags.items()}}
    made = NOW - timedelta(hours=hours)
    return Group(name, f"ami-{number}", Capacity.pinned(2), made, ones, weight, tags=told, is_attached=True)


def black(number: int, hours: float) -> Group:
    return group(number, **{"black-since": ago(hours)})


def view(*groups: Group) -> ClusterView:
    return ClusterView(CLUSTER, NOW, groups)


SERVING = group(9, weight=100)


def told(found: list[Fate]) -> dict[str, tuple[bool, str]]:
    return {fate.name: (fate.goes, fate.why) for fate in found}


def test_black_goes_by_time_and_by_number_and_the_others_say_why_they_stay() -> None:
    found = black_fates(view(SERVING, black(1, 5), black(2, 2), black(3, 1)), GOAL, NOW)
    assert told(found) == {
        "api-main-v001": (True, "out of traffic for 5.0 h, 4.0 h are kept"),
        "api-main-v002": (True, "a newer one is kept"),
        "api-main-v003": (False, "out of traffic for 1.0 h, kept for a rollback until 05 Nov 15:00 UTC"),
    }
    assert [fate.goes for fate in found] == [True, True, False]
    assert found[0].sentence.endswith("(10.0 instance-hours)")


def test_nothing_out_of_traffic_goes_while_who_serves_is_unwell() -> None:
    sick = replace(SERVING.instances[0], target_state="unhealthy")
    unwell = replace(SERVING, instances=(sick, SERVING.instances[1]))
    both = view(unwell, black(1, 5), group(2, failed="it was late"))
    assert not any(fate.goes for fate in black_fates(both, GOAL, NOW))
    step = next_janitor_step(Look(both, NOW), GOAL)
    assert isinstance(step, Done) and "kept in us-east-1 for now: i-90" in step.sentence


def test_what_a_failed_push_left_goes() -> None:
    found = black_fates(view(SERVING, group(2, failed="it was late")), GOAL, NOW)
    assert told(found) == {"api-main-v002": (True, "left over by a push that is over")}


PAIR = [group(5, "canary", run="r1", hours=12, **{"soak-end": ago(3)}), group(5, "baseline", run="r1", hours=12)]


@pytest.mark.parametrize(
    ("over", "goes", "word"),
    [
        ({"r1": "failed"}, True, "its soak ended 3.0 h ago, and its run r1 is over (failed)"),
        ({}, False, "its run r1 is under way"),
        ({"r2": "success"}, False, "its run r1 is under way"),
    ],
)
def test_canary_and_baseline_go_when_their_run_is_over(over: dict[str, str], goes: bool, word: str) -> None:
    assert runs_of_pairs(view(SERVING, *PAIR)) == {"r1"}
    assert told(pair_fates(view(SERVING, *PAIR), over, 900, NOW)) == {one.name: (goes, word) for one in PAIR}


def test_a_pair_is_left_to_its_run_for_an_hour_after_its_soak() -> None:
    fresh = replace(PAIR[0], tags={**PAIR[0].tags, "redstart:soak-end": ago(0.5)})
    found = pair_fates(view(SERVING, fresh, PAIR[1]), {"r1": "failed"}, 900, NOW)
    assert not any(fate.goes for fate in found) and "but not for long" in found[0].why


@pytest.mark.parametrize(("hours", "goes"), [(1.2, False), (1.3, True)])
def test_a_pair_that_never_soaked_goes_after_its_launch_and_an_hour(hours: float, goes: bool) -> None:
    found = pair_fates(view(SERVING, group(5, "canary", run="r1", hours=hours)), {"r1": "failed"}, 900, NOW)
    assert [fate.goes for fate in found] == [goes]


def test_a_soak_under_way_is_nobodys_business() -> None:
    soaking = replace(PAIR[0], tags={**PAIR[0].tags, "redstart:soak-end": ago(-5)})
    assert not pair_fates(view(SERVING, soaking), {"r1": "failed"}, 900, NOW)[0].goes


def lease(holder: Holder, ends_in_hours: float, place: Place = PLACE) -> Lease:
    until = NOW + timedelta(hours=ends_in_hours)
    return Lease(place, "r1", holder, "bob", "because", NOW - timedelta(days=1), until, 7)


@pytest.mark.parametrize(
    ("held", "over", "goes", "word"),
    [
        (lease(Holder.PUSH, -1), {"r1": "failed"}, True, "is over (failed), and it ran out"),
        (lease(Holder.PUSH, -1), {}, False, "is under way"),
        (lease(Holder.PUSH, 0.01), {"r1": "failed"}, False, "runs out by itself"),
        (lease(Holder.PUSH, 20, LINE), {"r1": "failed"}, True, "would last until"),
        (lease(Holder.PUSH, 20, LINE), {}, False, "is under way"),
        (lease(Holder.PERSON, -48), {"r1": "failed"}, False, "it is bob's own: because"),
    ],
)
def test_a_lock_is_freed_when_its_run_cannot(held: Lease, over: dict[str, str], goes: bool, word: str) -> None:
    found = judge_lease(held, over, NOW)
    assert found[0] is goes and word in found[1]


def fact(kind: Kind, number: int, days: float, place: Place = PLACE, **data: object) -> Recorded:
    about = {"image": f"ami-{number}", "commit": f"c{number}", **data}
    at = NOW - timedelta(days=days)
    return Recorded(number, Event(f"{kind}/{number}/{days}", kind, at, place, data=about))  # type: ignore[arg-type]


def needed(*events: Recorded, views: tuple[ClusterView, ...] = ()) -> dict[str, str]:
    return needed_images(views, events, NOW, production="main", candidates=2)


def test_what_a_group_was_launched_from_is_needed_whatever_its_role() -> None:
    found = needed(views=(view(SERVING, PAIR[0], black(1, 2)),))
    assert set(found) == {"ami-9", "c9", "ami-5", "c5", "ami-1", "c1"}
    assert found["ami-9"] == "api-main-v009 in us-east-1 uses it"


def test_the_last_three_builds_of_a_place_are_needed_for_rollbacks() -> None:
    events = [fact(Kind.PUSH_FINISHED, number, 90 - number) for number in range(5)]
    back = fact(Kind.ROLLBACK_SAFE, 3, 80)
    assert {name for name in needed(*events, back) if name.startswith("c")} == {"c2", "c3", "c4"}


def test_production_of_the_last_month_is_needed_and_a_test_environments_is_not() -> None:
    events = [fact(Kind.PUSH_FINISHED, number, 20) for number in range(6)]
    elsewhere = [fact(Kind.PUSH_FINISHED, 10 + number, 20, Place("api", "test", "us-east-1")) for number in range(6)]
    found = needed(*events, *elsewhere)
    assert {f"c{number}" for number in range(6)} <= set(found) and found["c0"] == "in production on 16 Oct"
    assert "c10" not in found and "c15" in found


def test_candidates_and_deliveries_under_way_are_needed() -> None:
    made = [fact(Kind.CANDIDATE_MADE, number, 60, LINE, images={"eu-west-1": f"ami-e{number}"}) for number in range(4)]
    waiting = fact(Kind.COMMIT_SELECTED, 7, 3, LINE)
    found = needed(*made, waiting, fact(Kind.COMMIT_SELECTED, 8, 9, LINE))
    assert {name for name in found if name.startswith("c")} == {"c2", "c3", "c7"}
    assert found["ami-e3"] == "a release candidate" and found["c7"] == "in a delivery of 02 Nov"
