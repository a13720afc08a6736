"""Pictures of windows: a region's week, and all regions' next hours. SVG that takes any width: places are in percent,
and only curves are stretched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from include.peaks import Freeze, Window
from include.reports.windows_curves import PLOT_HEIGHT, TOP, Frame, area, curves, highest_shown, stretched
from include.reports.windows_facts import (
    HOUR,
    RegionWindows,
    Usual,
    counted_traffic,
    local_days,
    usual_traffic,
    windows_between,
)
from include.reports.windows_words import say_window

WEEK_HEIGHT = 206
ROW_HEIGHT = 52
LEAST_HOURS_SHARE = 0.11
LEAST_LABEL_SHARE = 0.04
"""A day shorter than this share of the picture has no room for its name."""


def week_svg(region: RegionWindows, now: datetime, start: datetime, end: datetime, number: int) -> Markup:
    """The usual curve with its spread, quiet windows, freezes, the level below which it is quiet, the traffic as it
    was, and now, from `start` to `end` in the market's days. `number` is the picture's own on its page."""
    usual, counted = usual_traffic(region, start - HOUR, end + HOUR), counted_traffic(region, now)
    frame = Frame(start, end, highest_shown(usual, [level for _, level in counted]))
    parts = [
        _opening(f"week-{number}", "week", WEEK_HEIGHT, *_week_words(region)),
        _hatch(number),
        _quiet(region, frame, TOP, PLOT_HEIGHT),
        _days(region, frame),
        stretched(TOP, PLOT_HEIGHT, curves(frame, usual, counted)),
        _frozen(region, frame, TOP, PLOT_HEIGHT, number),
        _level_words(frame, usual),
        _now(frame, now, TOP, PLOT_HEIGHT + 9, label="now"),
        Markup("</svg>"),
    ]
    return Markup("\n").join(part for part in parts if part)


def row_svg(region: RegionWindows, now: datetime, start: datetime, end: datetime, number: int) -> Markup:
    """A region's part of the strip: its windows, freezes and override over the curve, in UTC."""
    usual = usual_traffic(region, start - HOUR, end + HOUR)
    frame = Frame(start, end, highest_shown(usual, []))
    title = f"{region.region}: when it may be pushed"
    told = [" to ".join(say_window(one, UTC)) for one in windows_between(region, start, end)]
    parts = [
        _opening(f"row-{number}", "row", ROW_HEIGHT, title, "; ".join(told) or "not within these hours"),
        _hatch(100 + number),
        _six_hours(frame, ROW_HEIGHT),
        stretched(6, ROW_HEIGHT - 12, [area(frame, usual)]),
        _quiet(region, frame, 6, ROW_HEIGHT - 12),
        _window_words(region, frame),
        _frozen(region, frame, 6, ROW_HEIGHT - 12, 100 + number),
        _overruled(region, frame, now),
        _now(frame, now, 0, ROW_HEIGHT),
        Markup("</svg>"),
    ]
    return Markup("\n").join(part for part in parts if part)


def axis_svg(now: datetime, start: datetime, end: datetime) -> Markup:
    """The strip's hours and days in UTC, with a mark at now."""
    frame, words = Frame(start, end), []
    for moment in _every_six_hours(frame):
        is_day = moment.hour == 0
        name = f"{moment:%a %d}" if is_day else f"{moment:%H}"
        kind = "day" if is_day else "hour noon" if moment.hour == 12 else "hour minor"
        words.append(_text(frame.percent(moment), 30, name, kind, "start" if is_day else "middle"))
    label = _text(frame.percent(now), 12, f"now {now.astimezone(UTC):%H:%M} UTC", "now-word", "start")
    opening = Markup('<svg class="axis" width="100%" height="36" aria-hidden="true" focusable="false">')
    return Markup("\n").join([opening, *words, label, Markup("</svg>")])


def _opening(name: str, kind: str, height: int, title: str, words: str) -> Markup:
    return Markup(
        '<svg class="{0}" width="100%" height="{1}" role="img" aria-labelledby="{2}-t {2}-d">'
        '<title id="{2}-t">{3}</title><desc id="{2}-d">{4}</desc>'
    ).format(kind, height, name, title, words)


def _week_words(region: RegionWindows) -> tuple[str, str]:
    zone = region.zone
    told = [" to ".join(say_window(one, zone)) for one in region.windows]
    freezes = [_freeze_words(one, region) for one in region.freezes]
    words = f"Quiet windows in {region.time_zone}: {'; '.join(told) or 'none'}."
    return f"{region.region}: usual traffic of the week and its quiet windows", " ".join([words, *freezes])


def _freeze_words(freeze: Freeze, region: RegionWindows) -> str:
    return f"Frozen {' to '.join(say_window(Window(freeze.start, freeze.end), region.zone))}: {freeze.why}"


def _quiet(region: RegionWindows, frame: Frame, top: int, height: int) -> Markup:
    shapes = []
    for one in windows_between(region, frame.start, frame.end):
        x, width = frame.percent(one.start), _width(frame, one.start, one.end)
        words = f"Quiet {' to '.join(say_window(one, region.zone))} ({one.start:%H:%M} to {one.end:%H:%M} UTC)"
        shapes.append(
            Markup(
                '<g class="quiet"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}"/>'
                '<rect class="bar" x="{}" y="{}" width="{}" height="5" rx="1.5"/></g>'
            ).format(words, x, top, width, height, x, top + height, width)
        )
    return Markup("").join(shapes)


def _window_words(region: RegionWindows, frame: Frame) -> Markup:
    """The market's own hours, in windows that have room for them."""
    words = []
    for one in windows_between(region, frame.start, frame.end):
        if frame.share(one.end) - frame.share(one.start) < LEAST_HOURS_SHARE:
            continue
        start, end = (moment.astimezone(region.zone) for moment in (one.start, one.end))
        is_cut = one.start == frame.start or one.end == frame.end
        said = f"until {end:%H:%M %Z}" if one.start == frame.start else f"from {start:%H:%M %Z}"
        if not is_cut:
            said = f"{start:%H:%M} – {end:%H:%M %Z}"
        words.append(_text(frame.percent(one.start), 20, said, "hours", "start", shift=6))
    return Markup("").join(words)


def _hatch(number: int) -> Markup:
    return Markup(
        '<defs><pattern id="hatch-{}" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect class="hatch" width="2.5" height="7"/></pattern></defs>'
    ).format(number)


def _frozen(region: RegionWindows, frame: Frame, top: int, height: int, number: int) -> Markup:
    shapes = []
    for one in region.freezes:
        if one.end <= frame.start or one.start >= frame.end:
            continue
        x, width = frame.percent(one.start), _width(frame, one.start, one.end)
        words = _freeze_words(one, region)
        shapes.append(
            Markup(
                '<g class="frozen"><title>{}</title><rect class="veil" x="{}" y="{}" width="{}" height="{}"/>'
                '<rect x="{}" y="{}" width="{}" height="{}" fill="url(#hatch-{})"/></g>'
            ).format(words, x, top, width, height, x, top, width, height, number)
        )
    return Markup("").join(shapes)


def _overruled(region: RegionWindows, frame: Frame, now: datetime) -> Markup:
    override = region.override
    if override is None or override.until <= now:
        return Markup("")
    x, width = frame.percent(now), _width(frame, now, override.until)
    words = f"Open by {override.who}'s override until {override.until.astimezone(UTC):%H:%M} UTC: {override.why}"
    return Markup(
        '<g class="overruled"><title>{}</title><rect x="{}" y="1" width="{}" height="5" rx="1.5"/></g>'
    ).format(words, x, width)


def _days(region: RegionWindows, frame: Frame) -> Markup:
    shapes, foot = [], TOP + PLOT_HEIGHT
    for day, begin, stop in local_days(region.zone, frame.start, frame.end):
        left = frame.percent(begin)
        shapes.append(Markup('<line class="day" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(left, TOP, foot + 42))
        if frame.share(min(stop, frame.end)) - frame.share(max(begin, frame.start)) > LEAST_LABEL_SHARE:
            name = Markup('{}<tspan class="more"> {}</tspan>').format(f"{day:%a}", f"{day:%d}")
            shapes.append(_text(left, foot + 40, name, "day", "start", shift=5))
        for hour in (6, 12, 18):
            at = begin + timedelta(hours=hour) + _shifted(region, begin, hour)
            if frame.start < at < frame.end:
                kind = "hour noon" if hour == 12 else "hour minor"
                shapes.append(_text(frame.percent(at), foot + 22, f"{hour:02d}", kind, "middle"))
    return Markup("").join(shapes)


def _shifted(region: RegionWindows, begin: datetime, hour: int) -> timedelta:
    """What a change of the clock since midnight moves the hour by."""
    at = begin + timedelta(hours=hour)
    return (begin.astimezone(region.zone).utcoffset() or timedelta()) - (
        at.astimezone(region.zone).utcoffset() or timedelta()
    )


def _level_words(frame: Frame, usual: Sequence[Usual]) -> Markup:
    known = [one for one in usual if one.is_known and frame.start <= one.at < frame.end]
    if not known:
        return _text("50%", TOP + PLOT_HEIGHT // 2, "No traffic is known of it.", "hint", "middle")
    highest = max(known, key=lambda one: one.level)
    at, y = frame.percent(highest.at), frame.height(highest.level) - 5
    near = "end" if frame.share(highest.at) > 0.8 else "start"
    words = [_text(at, y, f"{_rate(highest.level)}/s", "rate", near)]
    limit = next((one.limit for one in usual if one.at >= frame.start and math.isfinite(one.limit)), None)
    if limit is not None:
        words.append(_text("0%", frame.height(limit) - 5, "quiet is below", "rate minor", "start", shift=4))
    return Markup("").join(words)


def _rate(level: float) -> str:
    return f"{level:,.0f}" if level >= 10 else f"{level:.2g}"


def _every_six_hours(frame: Frame) -> Iterator[datetime]:
    at = frame.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while at < frame.end:
        if at > frame.start:
            yield at
        at += timedelta(hours=6)


def _six_hours(frame: Frame, height: int) -> Markup:
    lines = [
        Markup('<line class="{0}" x1="{1}" x2="{1}" y1="0" y2="{2}"/>').format(
            "day" if at.hour == 0 else "six", frame.percent(at), height
        )
        for at in _every_six_hours(frame)
    ]
    return Markup("").join(lines)


def _now(frame: Frame, now: datetime, top: int, height: int, label: str = "") -> Markup:
    if not frame.start <= now <= frame.end:
        return Markup("")
    x, anchor = frame.percent(now), "middle" if frame.share(now) > 0.02 else "start"
    line = Markup('<line class="now" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, top, top + height)
    return line + _text(x, top - 6, label, "now-word", anchor) if label else line


def _width(frame: Frame, start: datetime, end: datetime) -> str:
    left, right = (min(max(frame.share(one), 0.0), 1.0) for one in (start, end))
    return f"{100 * (right - left):.3f}%"


def _text(x: str, y: float, words: str, kind: str, anchor: str, shift: int = 0) -> Markup:
    return Markup('<text class="{}" x="{}" dx="{}" y="{:.0f}" text-anchor="{}">{}</text>').format(
        kind, x, shift, y, anchor, words
    )
