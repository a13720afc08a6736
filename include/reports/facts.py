"""What was compared, and when, as pairs of a name and a value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from include.canary.verdict import Verdict

_NAMES = {"image": "Canary image"}
_SOAK_MOMENTS = {"soak_start", "soak_end", "judged_until", "looks_planned"}
_LEADING = ("Version", "Subject", "Region", "Soak")


def keep_units(text: str) -> str:
    """Keep a number and its unit on one line."""
    return re.sub(r"(?<=\d) (?=(?:%|ms|s|B|[KMGT]iB)(?![A-Za-z]))", "\u00a0", text)


def say_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def say_span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes), f"{rest} s" * bool(rest)]
    return " ".join(part for part in parts if part) or "0 s"


def facts(verdict: Verdict, context: Mapping[str, str]) -> list[tuple[str, str]]:
    """What was compared and when; `context` first, in its own order, then what came along with the series.

    The moments of the soak are left out: from, to and its length say the same of the points that were judged.
    """
    known = {**context, **{key: value for key, value in verdict.metadata.items() if key not in context}}
    found = [
        (_NAMES.get(key, key.replace("_", " ").capitalize()), str(value))
        for key, value in known.items()
        if value and key not in _SOAK_MOMENTS
    ]
    seconds = verdict.points * verdict.step_seconds
    found.append(("From", say_time(verdict.start)))
    try:
        found.append(("To", say_time(verdict.start + timedelta(seconds=seconds))))
    except OverflowError:  # a recording may claim any start
        found.append(("To", "after the year 9999"))
    found.append(("Soak", f"{say_span(seconds)}, {verdict.points} points of {say_span(verdict.step_seconds)}"))
    found.append(("Judge", f"profile {verdict.profile}"))
    return found


def lead(known: Sequence[tuple[str, str]]) -> str:
    """The few facts that tell one canary from another, in a line."""
    told = dict(known)
    return " · ".join(told[name] for name in _LEADING if told.get(name))
