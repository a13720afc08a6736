"""Overrides of quiet windows, as the ledger's events tell of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.ledger import Event, Kind, Place, Recorded
from include.ledger.folds import CHAT, topics_of
from include.ledger.overrides import Override, newest_override, override_event, override_of

NOW = datetime(2026, 11, 23, 18, 7, 31, tzinfo=UTC)
EAST, WEST = Place("api", "main", "us-east-1"), Place("api", "main", "us-west-2")
OVERRIDE = Override(EAST, "ana", "the fix cannot wait", NOW, NOW + timedelta(minutes=60))


def kept(*overrides: Override) -> list[Recorded]:
    return [Recorded(number, override_event(one, f"key {number}")) for number, one in enumerate(overrides, 1)]


def test_it_is_read_as_it_was_written() -> None:
    assert override_of(override_event(OVERRIDE, "key", "run-1")) == OVERRIDE


def test_it_lasts_until_its_end() -> None:
    assert OVERRIDE.is_in_force(NOW + timedelta(minutes=59, seconds=59))
    assert not OVERRIDE.is_in_force(NOW + timedelta(minutes=60))


def test_the_newest_of_the_place_stands() -> None:
    longer = replace(OVERRIDE, until=NOW + timedelta(hours=10))
    elsewhere = replace(OVERRIDE, place=WEST)
    assert newest_override(kept(longer, OVERRIDE, elsewhere), EAST) == OVERRIDE
    assert newest_override(kept(longer), WEST) is None


def test_an_end_before_its_time_is_one_that_ends_at_once() -> None:
    end = replace(OVERRIDE, since=NOW + timedelta(minutes=5), until=NOW + timedelta(minutes=5), who="bob")
    newest = newest_override(kept(OVERRIDE, end), EAST)
    assert newest is not None
    assert not newest.is_in_force(NOW + timedelta(minutes=5))


@pytest.mark.parametrize("data", [{}, {"until": None}, {"until": "tomorrow"}, {"until": "2026-11-23T19:07:31"}])
def test_one_that_says_no_moment_lets_nothing_begin(data: dict[str, str | None]) -> None:
    event = Event("key", Kind.WINDOW_OVERRIDDEN, NOW, EAST, "", "ana", "", data)  # type: ignore[arg-type]
    assert newest_override([Recorded(1, event)], EAST) is None


def test_it_says_who_where_until_when_and_why() -> None:
    said = OVERRIDE.describe()
    assert all(word in said for word in ("ana", "us-east-1", "23 Nov 19:07:31 UTC", "the fix cannot wait"))


def test_it_is_told_in_chat() -> None:
    assert CHAT in topics_of(override_event(OVERRIDE, "key"))
