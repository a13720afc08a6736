"""Windows and waves as settings: each mistake is refused by file and key, and nothing is guessed."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from include.apps import load_app
from include.apps.loader import FOLDER
from include.apps.windows import Waves, Windows, clock_times
from include.errors import ConfigError

SHIPPED = (FOLDER / "api.toml").read_text(encoding="utf-8")
WINDOWS = "[environments.prod.windows]"


def loaded(folder: Path, *changes: tuple[str, str]) -> Windows:
    text = SHIPPED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "api.toml").write_text(text, encoding="utf-8")
    windows = load_app("api", folder).prod.windows
    assert windows is not None
    return windows


def refused(folder: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, *changes)
    assert str(folder / "api.toml") in str(caught.value)
    return str(caught.value)


def test_shipped_markets_live_in_their_own_time() -> None:
    zones = {region.name: region.time_zone for region in load_app("api").prod.regions}
    assert zones == {
        "us-east-1": "America/New_York",
        "us-west-2": "America/Los_Angeles",
        "eu-west-1": "Europe/Dublin",
    }


def test_test_environments_are_pushed_at_any_time_as_listed() -> None:
    for name in ("test", "integration", "staging"):
        assert load_app("api").environment(name).windows is None


def test_default_is_one_region_and_then_the_rest_at_once() -> None:
    assert Waves() == Waves(order="least_traffic", first=1, at_once=0, on_failure="halt")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "America", "EST5EDT4ever"])
def test_unknown_time_zone_is_refused(tmp_path: Path, zone: str) -> None:
    told = refused(tmp_path, ('time_zone = "Europe/Dublin"', f'time_zone = "{zone}"'))
    assert "regions.2.time_zone" in told


@pytest.mark.parametrize("hours", ["1-7", "25:00-07:00", "01:00", "01:60-07:00", "01:00 - 07:00"])
def test_hours_that_are_none_are_refused(tmp_path: Path, hours: str) -> None:
    told = refused(tmp_path, ('quiet_hours = ["01:00-07:00"]', f'quiet_hours = ["{hours}"]'))
    assert "windows.quiet_hours" in told
    assert "HH:MM-HH:MM" in told


def test_hours_may_pass_midnight() -> None:
    assert clock_times("23:30-06:00") == (time(23, 30), time(6))


def test_market_without_any_quiet_hours_is_refused(tmp_path: Path) -> None:
    assert "quiet_hours" in refused(tmp_path, ('quiet_hours = ["01:00-07:00"]', "quiet_hours = []"))


def test_more_days_needed_than_are_read_are_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, ("history_days = 28", "history_days = 10"), ("least_days = 7", "least_days = 14"))
    assert "least_days is above history_days" in told


@pytest.mark.parametrize("share", ["0", "100", "-5", "140"])
def test_share_of_the_peak_must_be_between(tmp_path: Path, share: str) -> None:
    assert "below_pct" in refused(tmp_path, ("below_pct = 60", f"below_pct = {share}"))


def test_freeze_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    freeze = 'freezes = [{ start = 2026-12-27T00:00:00, end = 2026-12-24T00:00:00, why = "turned round" }]'
    told = refused(tmp_path, (WINDOWS, f"{WINDOWS}\n{freeze}"))
    assert "end must be later than start" in told


def test_freeze_half_in_a_time_zone_is_refused(tmp_path: Path) -> None:
    freeze = 'freezes = [{ start = 2026-12-24T00:00:00Z, end = 2026-12-27T00:00:00, why = "half" }]'
    assert "both name a time zone" in refused(tmp_path, (WINDOWS, f"{WINDOWS}\n{freeze}"))


def test_freeze_without_a_reason_is_refused(tmp_path: Path) -> None:
    freeze = 'freezes = [{ start = 2026-12-24T00:00:00Z, end = 2026-12-27T00:00:00Z, why = "" }]'
    assert "why" in refused(tmp_path, (WINDOWS, f"{WINDOWS}\n{freeze}"))


def test_holiday_in_a_region_that_is_not_there_is_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, ('regions = ["us-east-1", "us-west-2"]', 'regions = ["us-east-1", "ap-south-1"]'))
    assert "does not run in ap-south-1" in told


def test_holiday_is_a_sunday_unless_said_otherwise(tmp_path: Path) -> None:
    windows = loaded(tmp_path, ('{ day = 2026-12-25, like = "sunday" }', "{ day = 2026-12-25 }"))
    assert {one.day: one.like for one in windows.holidays}[date(2026, 12, 25)] == "sunday"


def test_waves_of_nobody_are_refused(tmp_path: Path) -> None:
    assert "waves.first" in refused(tmp_path, ("first = 1", "first = 0"))
