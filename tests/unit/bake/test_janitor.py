"""Which images and builders go, which stay, and what is said of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from include.bake.janitor import ImageRules, builder_fates, image_fates
from include.fleet import Builder, Fate, Image

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
RULES = ImageRules(keep_images=2, image_days=14)
HOME, WEST = "us-east-1", "us-west-2"


def image(number: int, days: float, region: str = HOME, state: str = "available") -> Image:
    tags = {"redstart:app": "api", "redstart:commit": f"c{number}", "redstart:version": f"1.{number}"}
    made = NOW - timedelta(days=days)
    return Image(f"ami-{region}-{number}", f"api-1.{number}-c{number}", state, made, tags, 15)


def fates(images: dict[str, list[Image]], needed: dict[str, str] | None = None) -> dict[str, Fate]:
    found = image_fates(images, needed or {}, RULES, NOW)
    return {fate.ident: fate for ones in found.values() for fate in ones}


OLD = {region: [image(number, 40 - number, region) for number in range(5)] for region in (HOME, WEST)}


def test_old_images_go_but_for_the_newest_commits() -> None:
    told = fates(OLD)
    assert {ident for ident, fate in told.items() if fate.goes} == {
        f"ami-{region}-{number}" for region in (HOME, WEST) for number in (0, 1, 2)
    }
    gone = told["ami-us-east-1-0"]
    assert gone.sentence == (
        "image api-1.0-c0 goes: made 40 days ago; nothing uses it, and no rollback or release may need it"
    )
    assert gone.size_gib == 15
    assert told["ami-us-east-1-4"].why == "among the newest 2"


def test_all_copies_of_a_commit_stay_where_one_is_used() -> None:
    told = fates(OLD, {"ami-us-west-2-0": "api-main-v003 in us-west-2 uses it", "c1": "a release candidate"})
    assert [told[f"ami-{region}-0"].goes for region in (HOME, WEST)] == [False, False]
    assert told["ami-us-east-1-0"].why == "api-main-v003 in us-west-2 uses it"
    assert told["ami-us-east-1-1"].sentence == "image api-1.1-c1 stays: a release candidate"
    assert told["ami-us-east-1-2"].goes


def test_a_young_image_stays_however_many_there_are() -> None:
    told = fates({HOME: [image(number, 13) for number in range(9)]})
    assert not any(fate.goes for fate in told.values())
    assert "younger than 14 days" in {fate.why for fate in told.values()}


def test_a_copy_made_later_keeps_the_whole_commit_young() -> None:
    told = fates({HOME: OLD[HOME], WEST: [image(0, 2, WEST)]})
    assert not told["ami-us-east-1-0"].goes


def test_what_is_being_made_stays_and_what_failed_goes() -> None:
    ones = [image(0, 40, state="pending"), image(1, 0.5, state="failed"), image(2, 0.01, state="failed")]
    told = fates({HOME: ones})
    assert told["ami-us-east-1-0"].why == "it is being made"
    assert told["ami-us-east-1-1"].goes and "as failed" in told["ami-us-east-1-1"].why
    assert not told["ami-us-east-1-2"].goes


def test_an_image_without_our_commit_tag_is_told_by_its_name() -> None:
    strange = replace(image(0, 90), tags={"redstart:app": "api"})
    assert not fates({HOME: [strange]}, {strange.name: "somebody's"})[strange.image_id].goes


def test_a_builder_goes_when_no_bake_can_be_at_it_any_more() -> None:
    old = Builder("api-1.0-c0", "stopped", NOW - timedelta(hours=5), "i-1")
    young = Builder("api-1.1-c1", "running", NOW - timedelta(minutes=20), "i-2")
    gone, kept = builder_fates([old, young], 7200, NOW)
    assert gone.sentence == (
        "builder api-1.0-c0 goes: launched 5.0 h ago; no bake takes longer than 2.0 h (5.0 instance-hours)"
    )
    assert gone.ident == "i-1"
    assert kept.why == "launched 20 min ago, a bake may be at it" and not kept.goes
    assert not builder_fates([Builder("x", "running")], 7200, NOW)[0].goes
