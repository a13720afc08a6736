"""An outlook as the ledger keeps it: what is read again is what was written, by today's code and by yesterday's."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.errors import ConfigError
from include.peaks import Calendar, Curve, Freeze, Outlook, Source, Window
from include.peaks.levels import mean_level, no_counts
from include.peaks.record import has_changed, outlook_data, outlook_of
from include.peaks.values import SLOTS_PER_WEEK

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "peaks"
NOW = datetime(2026, 11, 23, 18, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


def curve() -> Curve:
    level = 500 + 400 * np.sin(2 * np.pi * np.arange(SLOTS_PER_WEEK) / 96)
    return Curve("America/New_York", level, level / 20, 27.96, NOW, level / 50)


def outlook(*, shift: timedelta = timedelta(), days: int = 8, source: Source = Source.LEARNED) -> Outlook:
    windows = [
        Window(NOW + timedelta(days=day, hours=4) + shift, NOW + timedelta(days=day, hours=15) + shift)
        for day in range(days)
    ]
    calendar = Calendar(
        "America/New_York",
        {date(2026, 12, 25): 6, date(2026, 11, 26): 6},
        (Freeze(NOW + 100 * HOUR, NOW + 110 * HOUR, "end of quarter"),),
    )
    too_short = (Window(NOW + 50 * HOUR, NOW + 50.1 * HOUR),)
    return Outlook(source, "learned from 28 days of requests", tuple(windows), calendar, curve(), too_short)


def test_what_is_read_is_what_was_written_but_for_the_curve_by_the_hour() -> None:
    written = outlook()
    data = json.loads(json.dumps(outlook_data(written)))
    read = outlook_of(data)
    assert replace(read, curve=None) == replace(written, curve=None, windows=whole_seconds(written))
    assert read.curve is not None and written.curve is not None
    assert read.curve.level.shape == (SLOTS_PER_WEEK,)
    hours = written.curve.level.reshape(-1, 4).mean(axis=1)
    np.testing.assert_allclose(read.curve.level.reshape(-1, 4), np.repeat(hours, 4).reshape(-1, 4), rtol=1e-3)
    assert (read.curve.time_zone, read.curve.days, read.curve.until) == ("America/New_York", 27.96, NOW)
    assert read.curve.error is not None
    np.testing.assert_allclose(read.curve.error.reshape(-1, 4)[:, 0], hours / 50, rtol=1e-3)
    assert outlook_data(read) == data, "and again"
    bare = replace(written, curve=replace(curve(), error=None))
    assert outlook_of(outlook_data(bare)).curve.error is None  # type: ignore[union-attr]
    assert len(json.dumps(data)) < 6000


def whole_seconds(told: Outlook) -> tuple[Window, ...]:
    return tuple(Window(one.start.replace(microsecond=0), one.end.replace(microsecond=0)) for one in told.windows)


def test_a_market_of_which_nothing_is_known_is_kept_too() -> None:
    bare = replace(outlook(source=Source.CONFIGURED), curve=None)
    assert outlook_of(json.loads(json.dumps(outlook_data(bare)))).curve is None


def test_hours_of_which_nothing_is_known_stay_unknown() -> None:
    holed = curve()
    holed.level[4:8] = np.nan
    holed.level[8:10] = np.nan
    data = json.loads(json.dumps(outlook_data(replace(outlook(), curve=holed)), allow_nan=False))
    read = outlook_of(data).curve
    assert read is not None
    assert np.isnan(read.level[4:8]).all() and np.isfinite(read.level[8:12]).all()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_version_ever_kept_is_still_read(path: Path) -> None:
    kept = json.loads(path.read_text())
    read = outlook_of(kept)
    assert read.curve is not None and read.curve.level.shape == (SLOTS_PER_WEEK,)
    assert read.windows and all(one.start < one.end and one.start.tzinfo is not None for one in read.windows)
    assert outlook_data(read) == kept


@pytest.mark.parametrize("schema", [None, 2, "1"])
def test_another_version_is_not_guessed_at(schema: object) -> None:
    with pytest.raises(ConfigError, match="schema"):
        outlook_of({**outlook_data(outlook()), "schema": schema})


def changed(new: Outlook, *, after: timedelta = HOUR, old: Outlook | None = None) -> bool:
    data: dict[str, Any] = outlook_data(old or outlook())
    return has_changed(data, outlook_data(new), NOW, NOW + after)


def test_small_moves_of_an_edge_are_no_news_and_great_ones_are() -> None:
    assert not changed(outlook(shift=timedelta(minutes=10)))
    assert changed(outlook(shift=timedelta(minutes=20)))


def test_time_that_goes_by_is_no_news() -> None:
    later = outlook(days=9)
    assert not changed(replace(later, windows=later.windows[1:]), after=timedelta(hours=16))


def test_another_source_other_days_and_a_window_less_are_news() -> None:
    plain = outlook()
    assert changed(replace(plain, source=Source.CONFIGURED))
    assert changed(replace(plain, calendar=replace(plain.calendar, freezes=())))
    assert changed(replace(plain, windows=plain.windows[:2] + plain.windows[3:]))
    assert changed(replace(plain, windows=()))


def test_what_is_a_day_old_is_told_again() -> None:
    assert changed(outlook(), after=timedelta(days=1))


def test_a_curve_in_one_number() -> None:
    assert mean_level(curve()) == pytest.approx(500, rel=0.01)
    assert mean_level(None) is None
    unknown = replace(curve(), level=np.full(SLOTS_PER_WEEK, np.nan))
    assert mean_level(unknown) is None
    assert no_counts(60).starts.size == 0 and no_counts(60).period_seconds == 60
