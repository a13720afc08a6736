"""A watch of red as steps: ask until its moment has come, then go on, fail, or ask for as long again, and a minute at
least: what instances publish comes late, and a short watch has few points."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.fleet import Group
from include.fleet.tags import FAILED, SEVERE, tag_value
from include.redblack.look import Finding, Look, WatchKind, WatchRequest
from include.redblack.roles import fenced, is_paused, names_of, resumed_at
from include.redblack.steps import MarkFailed, Step, TagGroup, WatchRed

LEAST_PATIENCE_SECONDS = 60.0


def watch(
    look: Look, red: Group, previous: list[Group], kind: WatchKind, tag: str, seconds: float, token: int
) -> Step | None:
    """The next step of watching red for `seconds`, whose end is written on it as `tag`; None: it was sound."""
    if seconds <= 0:
        return None
    if tag not in red.tags:
        end = look.now + timedelta(seconds=seconds)
        return TagGroup(red.name, fenced(token, {tag: end.isoformat(timespec="seconds")}))
    due = max(datetime.fromisoformat(red.tags[tag]), resumed_at(red) or datetime.min.replace(tzinfo=UTC))
    # What stands still may go bad meanwhile: it is the last while that counts.
    until = max(due, look.now) if is_paused(red) else due
    since = until - timedelta(seconds=seconds)
    names = tuple(group.name for group in previous)
    request = WatchRequest(kind, look.view.cluster.region, red.name, names, since, until)
    found = look.watched
    if found is not None and found.finding is Finding.UNSOUND:
        return mark_failed(red, found.reason, token, is_severe=found.is_severe)
    is_over = found is not None and found.at >= due
    if is_over and found is not None and found.finding is Finding.SOUND:
        return None
    if is_over and is_paused(red):
        return None  # it goes no further before it is watched again
    patience = timedelta(seconds=max(seconds, LEAST_PATIENCE_SECONDS))
    if is_over and found is not None and look.now >= due + patience:
        return mark_failed(red, f"nothing could be learnt of it: {found.reason}", token)
    beside = f" beside {names_of(previous)}" if kind is WatchKind.SIDE_BY_SIDE else ""
    so_far = (found.reason,) if found is not None and found.reason else ()
    return WatchRed(f"{red.name} was watched{beside} until {until:%H:%M:%S}", so_far, request)


def mark_failed(red: Group, reason: str, token: int, *, is_severe: bool = True) -> MarkFailed:
    tags = {FAILED: tag_value(reason), SEVERE: "yes" if is_severe else "no"}
    return MarkFailed(red.name, fenced(token, tags), reason)
