"""What on-call does with quiet windows from a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.errors import ConfigError, RefusedError
from include.ledger import EVERY_REGION, Claim, Event, Holder, Kind, Ledger, Place
from include.ledger.folds import CHAT
from include.ledger.overrides import override_in_force
from redstart.cli import overriding
from redstart.cli.app import app
from tests.support.ledger import fresh_ledger

NOW = datetime(2026, 11, 23, 18, 7, 31, tzinfo=UTC)
EAST, WEST = (Place("api", "main", region) for region in ("us-east-1", "us-west-2"))
WHY = "the fix cannot wait"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr("redstart.operators.clock.now", lambda: NOW)
    found = fresh_ledger(tmp_path / "ledger.db")
    monkeypatch.setattr("redstart.cli.locking.open_ledger", lambda: found)
    return found


def test_it_is_kept_with_who_why_and_until_when_and_told_in_chat(ledger: Ledger) -> None:
    said = overriding.override_places(ledger, [EAST, WEST], "ana", WHY, 60)
    for place in (EAST, WEST):
        found = override_in_force(ledger, place, NOW + timedelta(minutes=59))
        assert found is not None
        assert (found.who, found.why, found.until) == ("ana", WHY, NOW + timedelta(minutes=60))
        assert f"ana lets pushes of {place} begin until 23 Nov 19:07:31 UTC: {WHY}" in said
        assert override_in_force(ledger, place, NOW + timedelta(minutes=60)) is None
    assert [one.event.kind for one in ledger.pending(CHAT)] == [Kind.WINDOW_OVERRIDDEN] * 2


def test_it_says_which_delivery_it_lets_begin(ledger: Ledger) -> None:
    assert "No delivery is on its way" in overriding.override_places(ledger, [EAST], "ana", WHY, 60)
    line = Place("api", "main", EVERY_REGION)
    ledger.claim(line, Claim("run-7", Holder.PUSH, "bob", "a release", 3600), NOW)
    assert "run-7 may begin there" in overriding.override_places(ledger, [EAST], "ana", WHY, 60)
    ledger.record(Event("begun", Kind.PUSH_STARTED, NOW, EAST, "run-7", "bob", "", {"attempt": 0}))
    assert "run-7 has begun there already" in overriding.override_places(ledger, [EAST], "ana", WHY, 60)


def test_it_ends_before_its_time_when_somebody_says_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    overriding.override_places(ledger, [EAST], "ana", WHY, 60)
    later = NOW + timedelta(minutes=5)
    monkeypatch.setattr("redstart.operators.clock.now", lambda: later)
    said = overriding.end_overrides(ledger, [EAST, WEST], "bob", "it waits after all")
    assert f"{EAST} waits for its windows again; ana had let pushes begin: {WHY}" in said
    assert f"{WEST} is not overridden" in said
    assert override_in_force(ledger, EAST, later) is None
    newest = ledger.events(place=EAST, kinds={Kind.WINDOW_OVERRIDDEN})[-1].event
    assert (newest.who, newest.why) == ("bob", "it waits after all")


@pytest.mark.parametrize(("user", "why"), [("", WHY), ("ana", "no"), ("ana", "    x    "), ("ana", "x" * 501)])
def test_it_wants_a_name_and_a_reason(ledger: Ledger, user: str, why: str) -> None:
    with pytest.raises(RefusedError):
        overriding.override_places(ledger, [EAST], user, why, 60)
    assert ledger.events(kinds={Kind.WINDOW_OVERRIDDEN}) == []


def test_all_means_each_region_once_and_others_are_refused() -> None:
    assert len(overriding.windowed_places("api", ["us-east-1", "all"])) == 3
    with pytest.raises(ConfigError, match="runs in"):
        overriding.windowed_places("api", ["ap-south-1"])
    with pytest.raises(ConfigError, match="any time"):
        overriding.windowed_places("api", ["us-east-1"], "test")


def test_the_command_does_the_same(ledger: Ledger) -> None:
    asked = ["override", "us-east-1", "us-west-2", "--why", WHY, "--minutes", "30", "--user", "ana"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0 and done.output.count("23 Nov 18:37:31 UTC") == 2
    ended = CliRunner().invoke(app, ["override", "us-east-1", "--end", "--why", "not needed", "--user", "ana"])
    assert ended.exit_code == 0 and "waits for its windows again" in ended.output
    for wrong in (["--minutes", "4"], ["--minutes", "721"]):
        assert CliRunner().invoke(app, ["override", "us-east-1", "--why", WHY, *wrong]).exit_code == 2


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (["nowhere", "--why", WHY], "runs in us-east-1"),
        (["us-east-1", "--why", WHY, "--app", "nosuch"], "nosuch"),
        (["us-east-1", "--why", "no"], "Say why in"),
    ],
)
def test_a_mistake_is_named_without_a_ledger(monkeypatch: pytest.MonkeyPatch, asked: list[str], word: str) -> None:
    def away() -> Ledger:
        raise AssertionError("the ledger was asked")

    monkeypatch.setattr("redstart.cli.locking.open_ledger", away)
    told = CliRunner().invoke(app, ["override", *asked, "--user", "ana"])
    assert told.exit_code == 2, told.exception
    assert word in " ".join(told.output.split())
