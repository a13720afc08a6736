"""What is said of windows: moments in the market's time and ours, and how each region stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from include.peaks import Window
from include.reports.windows_facts import RegionWindows, State


def say_local(moment: datetime, zone: tzinfo, *, day_of: datetime | None = None) -> str:
    """`23:40 PST`; with the day before it where that is not the day of `day_of`."""
    local = moment.astimezone(zone)
    is_other_day = day_of is not None and day_of.astimezone(zone).date() != local.date()
    return f"{local:%a %d %b %H:%M %Z}" if is_other_day else f"{local:%H:%M %Z}"


def say_both(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """`23:40 PST (07:40 UTC)`: the market's time, and ours."""
    local = say_local(moment, zone, day_of=now)
    return local if local.endswith(" UTC") else f"{local} ({moment.astimezone(UTC):%H:%M} UTC)"


def say_window(window: Window, zone: tzinfo) -> tuple[str, str]:
    """From and until, in the zone's time: `Tue 24 Nov 01:30`, `06:45 PST`; the second with its day where it is
    another."""
    start = window.start.astimezone(zone)
    return f"{start:%a %d %b %H:%M}", say_local(window.end, zone, day_of=window.start)


def say_length(span: timedelta) -> str:
    """`6 h 45 min`."""
    hours, minutes = divmod(round(span.total_seconds() / 60), 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)) or "0 min"


def say_state(region: RegionWindows, now: datetime) -> str:
    """Whether the region may be pushed now, in a few words: `quiet until 05:15 PST (13:15 UTC)`."""
    state, answer, zone = region.state(now), region.answer, region.zone
    if state is State.UNKNOWN or answer is None:
        return "nothing is known of its windows yet"
    if state is State.OVERRIDDEN and region.override:
        return f"open by {region.override.who}'s override until {say_both(region.override.until, zone, now)}"
    if state is State.QUIET:
        return f"quiet until {say_both(answer.until, zone, now)}" if answer.until else "quiet"
    what, link = _what_waits(region, now)
    return f"{what}{link} {say_both(answer.opens, zone, now)}" if answer.opens else f"{what}; no window is in sight"


def _what_waits(region: RegionWindows, now: datetime) -> tuple[str, str]:
    """What keeps a push from beginning, and how the moment is joined to it at which one may."""
    if region.state(now) is State.FROZEN:
        return "frozen; opens", ""
    if any(one.start <= now < one.end for one in region.windows):
        is_by_traffic = region.answer is not None and region.answer.until is not None
        return ("busier than is usual; looks again", " at") if is_by_traffic else ("too late in its window; opens", "")
    return ("at its peak" if region.is_learned else "outside its quiet hours"), " until"


def say_now(regions: Sequence[RegionWindows], now: datetime) -> str:
    """All regions in a sentence."""
    opened = [one.region for one in regions if one.state(now) in (State.QUIET, State.OVERRIDDEN)]
    if len(opened) == len(regions):
        return "Every region may be pushed now."
    if opened:
        return f"{_joined(opened)} may be pushed now."
    nexts = [(one.answer.opens, one.region) for one in regions if one.answer and one.answer.opens]
    if not nexts:
        return "No region may be pushed now, and no window is in sight."
    opens, region = min(nexts)
    return f"No region may be pushed now; {region} is the next, at {opens.astimezone(UTC):%a %H:%M} UTC."


def say_order(regions: Sequence[RegionWindows]) -> str:
    """The waves in their order; "" where they are not known."""
    numbers = sorted({one.wave for one in regions} - {0})
    waves = [_joined([one.region for one in regions if one.wave == number]) for number in numbers]
    return f"A delivery takes them in this order: {', then '.join(waves)}." if waves else ""


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
