"""From the curve of a week to the quiet windows of the days to come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.peaks.clock import spoken_length
from include.peaks.stretches import hours_between, quiet_stretches, without_freezes
from include.peaks.values import Calendar, Curve, Outlook, Rules, Source, Window

OUTLOOK_DAYS = 8
BEYOND = timedelta(days=3)  # looked at before and after, so that the first and the last window keep their true ends
LONGEST_SHARE = 0.75


@dataclass(frozen=True)
class _Choice:
    """Stretches to take windows from, and how long one has to be."""

    source: Source
    why: str
    stretches: Sequence[Window]
    least: timedelta


def quiet_windows(
    curve: Curve | None, calendar: Calendar, rules: Rules, since: datetime, days: float = OUTLOOK_DAYS
) -> Outlook:
    """Windows from `since` on; the first may have begun before it (its `start` is the true one).

    Those that begin within `days` are given, with their true ends, each at least `rules.least_seconds` long. They come
    from the curve. The settings' hours stand in where it was learned from less than `rules.least_days` of data, shows
    nothing quiet, or nothing quiet for so long. Where these are too short as well, the longest stretches are given
    (those at least three quarters as long as the longest), although a push that begins in one is not over when it ends.
    `why` says which. Freezes are cut out after that choice.
    """
    until = since + timedelta(days=days)
    choice = _choose(curve, calendar, rules, since, until)
    pieces = _in_sight(without_freezes(choice.stretches, calendar.freezes), since, until)
    windows = tuple(piece for piece in pieces if piece.length >= choice.least)
    too_short = tuple(piece for piece in pieces if piece.length < choice.least)
    why = choice.why
    if not windows and calendar.freezes:
        why += f"; freezes leave no window within {days:g} days"
    return Outlook(choice.source, why, windows, calendar, curve, too_short)


def _choose(curve: Curve | None, calendar: Calendar, rules: Rules, since: datetime, until: datetime) -> _Choice:
    least = timedelta(seconds=rules.least_seconds)
    hours = hours_between(rules, calendar, since - BEYOND, until + BEYOND)
    longest_hours = _longest(hours)
    if curve is None or curve.days < rules.least_days:
        return _of_hours(_too_little(curve, rules), calendar, rules, hours)
    quiet = quiet_stretches(curve, calendar, rules.below_share, since - BEYOND, until + BEYOND)
    longest = _longest(_in_sight(quiet, since, until))
    if not longest:
        share = f"{100 * rules.below_share:g} % of the day's peak and outside its busiest 8 hours"
        return _of_hours(f"no moment of the coming days is below {share}", calendar, rules, hours)
    if longest >= least:
        return _Choice(Source.LEARNED, f"learned from {_number(curve.days)} days of requests", quiet, least)
    short = f"a push takes {_spoken(least)} and no quiet window is longer than {_spoken(longest)}"
    if longest_hours >= least or longest_hours >= longest:
        return _of_hours(short, calendar, rules, hours)
    return _Choice(Source.LEARNED, f"{short}, nor are the settings' hours: the longest", quiet, LONGEST_SHARE * longest)


def _of_hours(why: str, calendar: Calendar, rules: Rules, hours: Sequence[Window]) -> _Choice:
    least, longest = timedelta(seconds=rules.least_seconds), _longest(hours)
    said = f"{why}: the settings' hours {spoken_hours(rules)} ({calendar.time_zone})"
    if longest >= least:
        return _Choice(Source.CONFIGURED, said, hours, least)
    return _Choice(Source.CONFIGURED, f"{said}, in which no push can be over", hours, LONGEST_SHARE * longest)


def _too_little(curve: Curve | None, rules: Rules) -> str:
    if curve is None:
        return f"no requests are known, {_number(rules.least_days)} days of them are needed"
    return f"only {_number(curve.days)} days of requests are known, {_number(rules.least_days)} are needed"


def spoken_hours(rules: Rules) -> str:
    """`01:00-07:00, 13:00-15:00`"""
    return ", ".join(f"{first:%H:%M}-{last:%H:%M}" for first, last in rules.quiet_hours) or "(none)"


def _in_sight(windows: Iterable[Window], since: datetime, until: datetime) -> list[Window]:
    return [window for window in windows if window.end > since and window.start < until]


def _longest(windows: Sequence[Window]) -> timedelta:
    return max((window.length for window in windows), default=timedelta())


def _spoken(length: timedelta) -> str:
    return spoken_length(length.total_seconds())


def _number(days: float) -> str:
    return f"{days:.1f}".removesuffix(".0")
