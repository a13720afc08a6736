"""The page of when each region may be pushed: a strip of all regions, and each one's week. One HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from markupsafe import Markup

from include.peaks import Freeze, Window
from include.reports.assets import TEMPLATES, environment
from include.reports.windows_facts import RegionWindows, State, midnight, printable
from include.reports.windows_svg import axis_svg, row_svg, week_svg
from include.reports.windows_words import say_both, say_length, say_now, say_order, say_state, say_window

BEFORE = timedelta(hours=4)
AHEAD = timedelta(hours=48)
DAYS = 8
OLD = timedelta(hours=36)
GLYPHS = {State.QUIET: "✓", State.OVERRIDDEN: "✓", State.FROZEN: "✕", State.BUSY: "◷", State.UNKNOWN: "?"}


def render_windows(
    app: str, regions: Sequence[RegionWindows], now: datetime, *, nonce: str = "", dags: str = ""
) -> str:
    """The page as text, as of `now`; all of it shows without script.

    `nonce`: of the policy that the page is served under; "" for a file. `dags`: what leads to the pages of DAGs; ""
    where nothing does. Names, reasons and sentences are data, never markup.
    """
    regions = [printable(one) for one in regions]
    begin = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - BEFORE
    end = begin + BEFORE + AHEAD
    return (
        environment()
        .get_template("windows.html.j2")
        .render(
            app=app,
            nonce=nonce,
            dags=dags,
            styles=_styles(),
            headline=say_now(regions, now),
            axis=axis_svg(now, begin, end),
            regions=[
                {**_section(one, now, number), "row": row_svg(one, now, begin, end, number)}
                for number, one in enumerate(regions, 1)
            ],
            has_counted=any(one.counted is not None for one in regions),
            has_freezes=any(one.freezes for one in regions),
            has_overrides=any(one.override is not None for one in regions),
            as_of=f"As of {now.astimezone(UTC):%a %d %b %Y %H:%M} UTC.",
            order=say_order(regions),
        )
    )


def _section(region: RegionWindows, now: datetime, number: int) -> dict[str, Any]:
    state, zone, answer = region.state(now), region.zone, region.answer
    start = midnight(zone, (now - _look_back(region)).astimezone(zone).date())
    end = midnight(zone, now.astimezone(zone).date() + timedelta(days=DAYS))
    return {
        "region": region.region,
        "market": region.market,
        "time_zone": region.time_zone,
        "wave": region.wave,
        "local_now": f"{now.astimezone(zone):%a %H:%M %Z}",
        "state": state.value,
        "glyph": GLYPHS[state],
        "say": say_state(region, now),
        "why": "" if answer is None or answer.is_open else _sentence(answer.why),
        "warnings": _warnings(region, now),
        "week": week_svg(region, now, start, end, number) if region.outlook is not None else "",
        "source": _source(region, now),
        "windows": [_window_cells(one, region) for one in region.windows],
        "until": f"{region.windows[-1].end.astimezone(zone):%a %d %b}" if region.windows else "",
        "freezes": [_freeze_cells(one, region) for one in region.freezes],
    }


def _look_back(region: RegionWindows) -> timedelta:
    return timedelta(days=1) if region.counted is not None else timedelta()


def _warnings(region: RegionWindows, now: datetime) -> list[str]:
    found = []
    if region.outlook is None:
        found.append("The ledger has no windows of it yet: they come with the next run of the windows' own DAG.")
    elif region.learned_at is not None and now - region.learned_at > OLD:
        found.append(f"This was learned {say_length(now - region.learned_at)} ago; a push will learn it anew.")
    if region.override is not None and region.override.until > now:
        override = region.override
        until = say_both(override.until, region.zone, now)
        found.append(f"{override.who} lets pushes begin until {until}: {override.why}")
    return found


def _source(region: RegionWindows, now: datetime) -> str:
    if region.outlook is None:
        return ""
    words = [_sentence(region.outlook.why)]
    if region.is_learned:
        words.append(f"Quiet is below {100 * region.below_share:.0f} % of the day's peak")
        if region.push_seconds:
            span = say_length(timedelta(seconds=max(60.0, region.push_seconds)))
            words[-1] += f", for at least the {span} that a push takes"
        words[-1] += "."
    if region.learned_at is not None:
        words.append(f"In the ledger since {region.learned_at.astimezone(UTC):%a %d %b %H:%M} UTC.")
    return " ".join(words)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""


def _window_cells(window: Window, region: RegionWindows) -> tuple[str, ...]:
    return (*say_window(window, region.zone), *say_window(window, UTC), say_length(window.length))


def _freeze_cells(freeze: Freeze, region: RegionWindows) -> tuple[str, str, str]:
    return (*say_window(Window(freeze.start, freeze.end), region.zone), freeze.why)


@cache
def _styles() -> Markup:
    return Markup((TEMPLATES / "windows.css").read_text(encoding="utf-8").rstrip())
