"""A plan on the terminal: the delivery in a table, then each region's steps, calls and way back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from include.redblack.plan_words import end_of, lasts, operation_of, words_of
from include.redblack.region_plan import Outcome

if TYPE_CHECKING:
    from include.redblack.picture import GroupPicture
    from include.redblack.region_plan import RegionPlan, Rehearsed
    from redstart.operators.delivery_plan import DeliveryPlan, PlannedRegion

COLUMNS = ("wave", "region", "begins", "until", "from", "instances", "calls", "on it", "takes")
RIGHT = ("calls", "on it", "takes")
LEGEND = (
    "Times are UTC. until: the end of its quiet window; from: what serves now; instances: live now, while both serve, "
    "at the end; on it: until all users are on the new version."
)
STYLES = {Outcome.DONE: "green", Outcome.WAITS: "yellow"}
INDENT = 2
OPERATION_WIDTH = 29


def show_plan(plan: DeliveryPlan, console: Console, *, has_calls: bool) -> None:
    """All of it, the summary first."""
    console.print(title_of(plan), soft_wrap=True)
    console.print(f"Waves: {plan.waves.words} ({plan.waves.why}).", soft_wrap=True)
    console.print()
    console.print(summary_table(plan))
    hindered = " !: see its notes." if any(one.plan.notes for one in plan.regions) else ""
    console.print(Text(LEGEND + hindered, "dim"))
    for region in plan.regions:
        console.print()
        command = f" (./redstart rollback {region.name})" if plan.environment == "prod" else ""
        for part in region_parts(region, command, has_calls=has_calls):
            console.print(part)
    console.print()
    console.print(Text(last_word(plan), "dim"), soft_wrap=True)


def title_of(plan: DeliveryPlan) -> Text:
    what = " ".join(one for one in (plan.version, f"({plan.commit[:12]})" if plan.commit else "") if one)
    title = Text(f"Plan of {plan.app} {what or 'an image without a version'} to {plan.environment}", "bold")
    return title.append(f", as of {plan.at:%d %b %H:%M:%S} UTC", "not bold dim")


def last_word(plan: DeliveryPlan) -> str:
    began = f"{plan.at:%H:%M}"
    ends = f" All of it would end at {_moment(plan.ends, plan.at)} UTC." if plan.ends else ""
    return f"Nothing was changed: this is AWS of {began} UTC, and the push's own code rehearsed on it.{ends}"


def summary_table(plan: DeliveryPlan) -> Table:
    """A row a region."""
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, no_wrap=True, justify="right" if column in RIGHT else "left")
    for region in plan.regions:
        row = _row(region, plan.at)
        table.add_row(*(row[column] for column in COLUMNS))
    return table


def _row(region: PlannedRegion, now: datetime) -> dict[str, RenderableType]:
    plan, slot = region.plan, region.slot
    users = lasts(plan.users_seconds) if plan.users_seconds is not None else "–"
    takes = lasts(plan.push.seconds) if plan.push.outcome is Outcome.DONE else str(plan.push.outcome)
    return {
        "wave": Text(str(slot.wave)),
        "region": Text(region.name + (" !" if plan.notes else ""), "yellow" if plan.notes else ""),
        "begins": Text(_begin(slot.begins, now)),
        "until": Text(_moment(slot.opening.until, slot.begins or now) if slot.opening.until else "–"),
        "from": Text(_versions(plan.before)),
        "instances": Text(_sizes(plan)),
        "calls": Text(str(len(plan.push.calls))),
        "on it": Text(users),
        "takes": Text(takes, STYLES.get(plan.push.outcome, "bold red")),
    }


def region_parts(region: PlannedRegion, command: str, *, has_calls: bool) -> Iterable[RenderableType]:
    """A region from its window to its way back, which `command` begins."""
    plan, slot = region.plan, region.slot
    yield Text(region.name, "bold").append(f"  {plan.cluster.name}, wave {slot.wave}", "not bold")
    if plan.notes:
        yield _indented(Text("\n".join(plan.notes), "yellow"))
    facts = dict.fromkeys(one for one in (region.window, slot.why, _start(region)) if one)
    yield _indented(Text("\n".join(facts), "dim"))
    if plan.before or plan.after:
        yield _indented(groups_table(plan))
    yield Text()
    yield _indented(steps_table(plan.push, has_calls=has_calls))
    yield _indented(_end(plan.push))
    if plan.back is not None:
        safe = f", users are safe after {lasts(plan.safe_seconds)}" if plan.safe_seconds is not None else ""
        yield Text()
        yield _indented(
            Text(
                f"The way back from there{command}: {len(plan.back.calls)} calls{safe}",
                "bold",
            )
        )
        yield _indented(steps_table(plan.back, has_calls=has_calls))
        yield _indented(_end(plan.back))


def groups_table(plan: RegionPlan) -> Table:
    """Main groups now, while most serve, and at the end."""
    table = Table.grid(padding=(0, 2))
    for _ in range(6):
        table.add_column(no_wrap=True)
    for when, groups in (("now", plan.before), ("both serve", plan.during), ("then", plan.after)):
        if when == "both serve" and sum(one.role == "live" for one in groups) < 2:
            continue
        for number, group in enumerate(groups):
            table.add_row(Text(when if not number else "", "dim"), *_cells(group))
    return table


def _cells(group: GroupPicture) -> tuple[Text, ...]:
    style = "" if group.role == "live" else "dim"
    of = group.capacity
    return (
        Text(group.name, style),
        Text(group.version or group.image_id, style),
        Text(f"{group.healthy} of {of.desired} ({of.minimum} to {of.maximum})", style),
        Text(f"{group.share_pct:.0f} %", style),
        Text(group.role, style),
    )


def steps_table(rehearsed: Rehearsed, *, has_calls: bool) -> Table:
    """Steps with when they begin and what they take; below each its calls."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for step in rehearsed.steps:
        took = Text(lasts(step.seconds) if not step.calls else "", "cyan")
        table.add_row(Text(f"+{lasts(step.after_seconds)}", "dim"), took, Text(step.sentence))
        if has_calls and step.calls:
            calls = Table.grid(padding=(0, 1))
            calls.add_column(no_wrap=True, min_width=OPERATION_WIDTH)
            calls.add_column()
            for call in step.calls:
                calls.add_row(Text(f"  {operation_of(call)}", "cyan"), Text(words_of(call), "dim"))
            table.add_row("", "", calls)
    return table


def _end(rehearsed: Rehearsed) -> Text:
    return Text(f"= {end_of(rehearsed)}", STYLES.get(rehearsed.outcome, "bold red"))


def _start(region: PlannedRegion) -> str:
    lately = region.lately
    measured = "as measured" if lately.is_start_measured else "by the settings: none was measured yet"
    took = f"; its pushes took {_lately(region)}" if lately.count else "; the ledger has no finished push of it"
    return f"An instance serves {lasts(lately.start_seconds)} after its launch ({measured}){took}."


def _lately(region: PlannedRegion) -> str:
    lately = region.lately
    if not lately.count:
        return "–"
    if lately.count == 1:
        return f"{lasts(lately.longest_seconds)} (one)"
    return f"{lasts(lately.shortest_seconds)} to {lasts(lately.longest_seconds)} (last {lately.count})"


def _versions(groups: Iterable[GroupPicture]) -> str:
    return " and ".join(dict.fromkeys(one.version or one.image_id for one in groups if one.role == "live")) or "nothing"


def _sizes(plan: RegionPlan) -> str:
    """`3 -> 7 -> 4`: live instances now, at most, at the end."""
    now, most, then = (
        sum(one.healthy for one in groups if one.role == "live") for groups in (plan.before, plan.during, plan.after)
    )
    return f"{now} → {most} → {then}" if plan.before or plan.after else "–"


def _begin(begins: datetime | None, now: datetime) -> str:
    if begins is None:
        return "not known"
    return "now" if begins <= now else _moment(begins, now)


def _moment(at: datetime | None, now: datetime) -> str:
    if at is None:
        return ""
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%d %b %H:%M}"


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, INDENT), expand=False)
