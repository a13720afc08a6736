"""`./redstart plan` on the local cloud: the whole delivery through the product's own hooks and settings."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from include.ledger import Claim, Hold, Holder, Place
from include.peaks import Window
from redstart.cli import plan_view, planning
from redstart.cli.planning import make_plan
from redstart.operators.outlook import OutlookReader, RegionOutlook
from tests.support.local_cloud import LocalCloud
from tests.support.planned_regions import LIVE, NEXT, NEXT_COMMIT, PlannedRegions

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")


@pytest.fixture
def regions(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlannedRegions:
    found = PlannedRegions(local_cloud, tmp_path, monkeypatch)
    monkeypatch.setattr(planning, "open_ledger", lambda: found.ledger)
    return found


def run(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(planning.plan)
    return CliRunner().invoke(app, list(arguments))


def place(region: str) -> Place:
    return Place("api", "main", region)


def shown(found: Any, width: int, *, has_calls: bool = True) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"), highlight=False)  # noqa: SIM115, PTH123
    plan_view.show_plan(found, console, has_calls=has_calls)
    return console.export_text()


def test_everything_is_told_and_nothing_is_touched(regions: PlannedRegions) -> None:
    regions.tell_push("us-west-2", "run-1", 812, 96)
    calls, events = regions.cloud.calls.since(0), len(regions.ledger.events())
    told = run("api", "--image", regions.images["us-west-2"])
    assert told.exit_code == 0, told.output
    made = [call for call in regions.cloud.calls.since(0) if call not in calls]
    assert made
    assert not [call for call in made if not str(call["action"]).startswith(("Describe", "Get", "List"))]
    assert len(regions.ledger.events()) == events
    for region in REGIONS:
        assert regions.images[region] in told.output
        assert f"./redstart rollback {region}" in told.output
    for word in (NEXT, LIVE, "CreateAutoScalingGroup", "ModifyListener", "13:32 (one)", "1:36 after its launch"):
        assert word in told.output, word


@pytest.mark.parametrize("width", [100, 120])
def test_it_fits_a_terminal(regions: PlannedRegions, width: int) -> None:
    found = make_plan(regions.app, "prod", "", NEXT)
    text = shown(found, width)
    table = text.partition("wave  region")[2].partition("Times are UTC")[0]
    assert "…" not in table
    assert all(region in table for region in REGIONS)
    assert len(shown(found, width, has_calls=False).splitlines()) < len(text.splitlines())


def test_for_programs_it_is_json_with_every_parameter(regions: PlannedRegions) -> None:
    told = run("api", "--version", NEXT_COMMIT[:8], "--region", "eu-west-1", "--json")
    assert told.exit_code == 0, told.output
    data = json.loads(told.stdout)
    assert (data["schema"], data["version"], data["commit"]) == (1, NEXT, NEXT_COMMIT)
    [region] = data["regions"]
    assert (region["region"], region["push"]["outcome"], region["back"]["outcome"]) == ("eu-west-1", "done", "done")
    first = region["push"]["steps"][0]["calls"][0]
    assert (first["operation"], first["parameters"]["Name"]) == ("create_target_group", "api-main-v001")
    asked = json.dumps(region["push"])
    assert "(target group of api-main-v001)" in asked
    assert "(token of the lock)" in asked
    assert "(new)" not in asked


def test_whoever_stands_in_the_way_is_named(regions: PlannedRegions) -> None:
    now = regions.now()
    regions.ledger.place_hold(Hold(place("eu-west-1"), "ann", "the board looks at the site", now))
    regions.ledger.place_hold(Hold(place("us-west-2"), "cat", "lunch", now, now + timedelta(minutes=10)))
    claim = Claim("person-bob", Holder.PERSON, "bob", "looks into a leak", 3600)
    regions.ledger.claim(place("us-east-1"), claim, now)
    found = {one.name: one for one in make_plan(regions.app, "prod", "", NEXT).regions}
    assert "held by ann until lifted: the board looks at the site" in found["eu-west-1"].plan.notes[0]
    assert "bob's (person)" in found["us-east-1"].plan.notes[0]
    assert found["us-west-2"].plan.push.steps[0].seconds == 600
    assert {str(one.plan.push.outcome) for one in found.values()} == {"done"}


def test_a_region_without_the_image_is_told(regions: PlannedRegions) -> None:
    ec2 = regions.cloud.client("ec2", "eu-west-1")
    ec2.deregister_image(ImageId=regions.images["eu-west-1"])
    told = run("api", "--image", regions.images["us-east-1"], "--brief")
    assert told.exit_code == 1
    assert f"would be refused: there is no available image of {NEXT} in eu-west-1" in " ".join(told.output.split())
    assert "Traceback" not in told.output


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--image", "ami-0123456789abcdef0"], "has the id ami-0123456789abcdef0"),
        (["--version", "1.2.3"], "is of version or commit 1.2.3"),
        ([], "Say what is to be pushed"),
        (["--version", NEXT, "--region", "mars-1"], "must be among"),
        (["--version", NEXT, "--environment", "moon"], "api has prod"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(
    regions: PlannedRegions, arguments: list[str], word: str
) -> None:
    told = run("api", *arguments)
    assert told.exit_code == 2
    assert word in " ".join(told.stderr.split())


def test_what_serves_already_needs_nothing(regions: PlannedRegions) -> None:
    found = make_plan(regions.app, "prod", "", LIVE, ["us-east-1"])
    assert found.regions[0].plan.push.calls == ()
    assert "already runs" in shown(found, 100)


def with_peaks(regions: PlannedRegions, monkeypatch: pytest.MonkeyPatch, at_peak: str, seconds: float) -> None:
    """From three hours from now on each market is quiet, for so many seconds; and on the next day again."""
    windows = regions.app.prod.windows
    assert windows is not None
    prod = regions.app.prod.model_copy(update={"windows": windows.model_copy(update={"at_peak": at_peak})})
    environments = regions.app.environments.model_copy(update={"prod": prod})
    regions.app = regions.app.model_copy(update={"environments": environments})
    monkeypatch.setattr(planning, "known_app", lambda name: regions.app)
    read, begins = OutlookReader.read, regions.now() + timedelta(hours=3)
    quiet = tuple(
        Window(begins + timedelta(days=day), begins + timedelta(days=day, seconds=seconds)) for day in range(2)
    )

    def short(self: OutlookReader, region: str) -> RegionOutlook | None:
        found = read(self, region)
        assert found is not None
        rules = replace(found.rules, least_seconds=seconds)
        return replace(found, outlook=replace(found.outlook, windows=quiet), rules=rules)

    monkeypatch.setattr(OutlookReader, "read", short)


@pytest.mark.parametrize(
    ("at_peak", "status", "outcome", "word"),
    [
        ("finish", 0, "done", "it is finished all the same"),
        ("hold", 1, "waits", "would wait: held with api-main-v001 out of traffic at its peak"),
        ("roll_back", 1, "waits", "would wait: not begun at its peak"),
    ],
)
def test_what_becomes_of_a_push_at_its_peak_is_planned(
    regions: PlannedRegions, monkeypatch: pytest.MonkeyPatch, at_peak: str, status: int, outcome: str, word: str
) -> None:
    """Its window is too short, hours from now: the plan is the one of then."""
    with_peaks(regions, monkeypatch, at_peak, 20)
    told = run("api", "--version", NEXT, "--region", "eu-west-1", "--json")
    assert told.exit_code == status, told.output
    [region] = json.loads(told.stdout)["regions"]
    assert region["push"]["outcome"] == outcome
    assert region["begins"] == (regions.now() + timedelta(hours=3)).isoformat(timespec="seconds")
    assert (region["ends"] is None) == bool(status)
    told = run("api", "--version", NEXT, "--region", "eu-west-1", "--brief")
    assert word in " ".join(told.output.split())
