"""Whether a push may begin at a moment: by the outlook, and by the traffic as it is."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from include.peaks.clock import spoken_length, spoken_moment
from include.peaks.curve import expected_level, expected_spread
from include.peaks.stretches import BUSY_SHARE, peak_at
from include.peaks.values import Answer, Counts, Curve, Freeze, Outlook, Rules, Source, Window, can_be_counts

LATE_START = timedelta(minutes=5)
LATE_SHARE = 0.25
RECENT_SECONDS = 900
SURGE = 2.0
NOISE_SPREADS = 3.0
ABOVE_PEAK = 1.25


def answer_at(outlook: Outlook, rules: Rules, now: datetime) -> Answer:
    """Whether a push that takes `rules.least_seconds` may begin now, and else when and why.

    It may from a window's start until so long before its end that the push is over by then; a wait that wakes up to 5
    minutes late is in time. Where no window of the outlook is long enough, it may within the first quarter of each.
    """
    inside = _window_at(outlook.windows, now)
    if inside is not None and now <= last_start(inside, outlook, rules):
        return Answer(True, f"quiet until {_at(outlook, inside.end)}", until=inside.end)
    opens = next((one.start for one in outlook.windows if one.start > now and _is_fit(one, outlook, rules)), None)
    reason = _reason(outlook, rules, now)
    then = f"a push may begin at {_at(outlook, opens)}" if opens else "no window is known yet in which a push may begin"
    return Answer(False, f"{reason}; {then}", opens=opens)


def last_start(window: Window, outlook: Outlook, rules: Rules) -> datetime:
    """Until when a push may begin in a window; before its start where it may not at all."""
    left = window.length - timedelta(seconds=rules.least_seconds)
    if left >= timedelta():
        return window.start + max(left, min(LATE_START, window.length))
    if any(one.length.total_seconds() >= rules.least_seconds for one in outlook.windows):
        return window.start - timedelta(microseconds=1)
    return window.start + max(LATE_SHARE * window.length, min(LATE_START, window.length))


def word_if_busy(outlook: Outlook, rules: Rules, recent: Counts, now: datetime) -> str:
    """Why the traffic of the last quarter of an hour is not that of a quiet window; "" where it is, or where nothing
    is known of it.

    Busy is more than `below_share` of the day's peak (with windows of the settings' hours: a quarter more than that
    peak, and 3 spreads of what is usual now), or more than twice what is usual now and more than half of that share.
    What chance alone adds to the count (3 standard deviations) is not held against it. Without a curve there is nothing
    to compare with.
    """
    rate, allowance = _recent_rate(recent, now)
    if outlook.curve is None or rate is None:
        return ""
    peak = peak_at(outlook.curve, outlook.calendar, now)
    share = min(rules.below_share, BUSY_SHARE) if outlook.source is Source.LEARNED else 1.0
    limit = share * peak if share < 1 else _above(peak, outlook.curve, outlook, now)
    usual = expected_level(outlook.curve, outlook.calendar, now)
    said = f"{_rate(rate)} requests/s in the last 15 min"
    if not limit:
        return ""
    if rate - allowance > limit:
        of_peak = f"{100 * share:.0f} % of the day's peak" if share < 1 else f"the day's peak is {_rate(peak)}"
        return f"{said}, more than {_rate(limit)} ({of_peak}); usual now: {_rate(usual)}"
    if rate - allowance > max(SURGE * usual, share * peak / 2):
        return f"{said}, far more than is usual now ({_rate(usual)})"
    return ""


def _above(peak: float, curve: Curve, outlook: Outlook, now: datetime) -> float:
    """What a market that is as usual does not come to, be it at its peak all day long."""
    return max(ABOVE_PEAK * peak, peak + NOISE_SPREADS * expected_spread(curve, outlook.calendar, now))


def _reason(outlook: Outlook, rules: Rules, now: datetime) -> str:
    freeze = next((one for one in outlook.calendar.freezes if one.start <= now < one.end), None)
    if freeze is not None:
        return f'freeze "{freeze.why}" until {_at(outlook, freeze.end)}'
    stretch = _window_at((*outlook.windows, *outlook.too_short), now)
    if stretch is not None:
        left = (stretch.end - now).total_seconds()
        takes = spoken_length(rules.least_seconds)
        return f"{spoken_length(left)} are left before {_what_ends(outlook, stretch)}, and a push takes {takes}"
    if outlook.source is Source.CONFIGURED:
        return "outside the settings' hours"
    return f"the market is {_how_busy(outlook, rules, now)}"


def _how_busy(outlook: Outlook, rules: Rules, now: datetime) -> str:
    """A third of a day is its busiest, however far below a steep evening."""
    peak = peak_at(outlook.curve, outlook.calendar, now) if outlook.curve is not None else 0.0
    if outlook.curve is None or not peak:
        return "at its peak"
    share = expected_level(outlook.curve, outlook.calendar, now) / peak
    when = "at its peak" if share >= rules.below_share else "in its busiest hours"
    return f"{when} (usually {100 * share:.0f} % of the day's highest at this time)"


def _what_ends(outlook: Outlook, stretch: Window) -> str:
    freeze: Freeze | None = next((one for one in outlook.calendar.freezes if one.start == stretch.end), None)
    if freeze is not None:
        return f'the freeze "{freeze.why}"'
    return "the settings' hours end" if outlook.source is Source.CONFIGURED else "the peak"


def _window_at(windows: tuple[Window, ...], now: datetime) -> Window | None:
    return next((one for one in windows if one.start <= now < one.end), None)


def _is_fit(window: Window, outlook: Outlook, rules: Rules) -> bool:
    return last_start(window, outlook, rules) >= window.start


def _recent_rate(recent: Counts, now: datetime) -> tuple[float | None, float]:
    """Requests per second of the periods that ended in the last 15 minutes (or in the last period, where it is
    longer), and what chance may have added to it."""
    ends = recent.starts + recent.period_seconds
    reach = max(RECENT_SECONDS, recent.period_seconds)
    chosen = (ends <= now.timestamp()) & (ends > now.timestamp() - reach) & can_be_counts(recent.counts)
    if not chosen.any():
        return None, 0.0
    seconds = float(np.count_nonzero(chosen)) * recent.period_seconds
    total = float(recent.counts[chosen].sum())
    return total / seconds, NOISE_SPREADS * total**0.5 / seconds


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _at(outlook: Outlook, moment: datetime) -> str:
    return spoken_moment(moment, outlook.calendar.time_zone)
