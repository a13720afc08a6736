"""`./redstart lock`, `unlock`, `hold`, `release`, `locks`: a person's share in the locks of the automation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from include.apps import App, load_app
from include.errors import ConfigError, RedstartError, RefusedError
from include.ledger import Claim, Hold, Holder, LockedError, Place
from include.ledger.folds import TOLD_OF_PUSHES, pushes
from redstart.cli.connected import open_ledger
from redstart.cli.judging import complain
from redstart.cli.screen import lock_table, open_console
from redstart.operators import clock

if TYPE_CHECKING:
    from include.ledger import Ledger

EVERYWHERE = "all"

Region = Annotated[str, typer.Argument(help="Which region.")]
Regions = Annotated[str, typer.Argument(help=f"Which region; `{EVERYWHERE}` for each.")]
Why = Annotated[str, typer.Option(help="Kept in the ledger, and shown to whoever meets it.")]
User = Annotated[str, typer.Option(envvar=["REDSTART_USER", "USER"], help="Who you are.")]
Application = Annotated[str, typer.Option("--app", help="Which application.")]


def lock(
    region: Region,
    why: Why,
    user: User = "",
    minutes: Annotated[float, typer.Option(min=1, max=24 * 60, help="It frees itself after them.")] = 60,
    takes_over: Annotated[bool, typer.Option("--take-over", help="Also where somebody else has it.")] = False,
    application: Application = "api",
) -> None:
    """Lock a region: no push, canary, rollback or sweep changes it until you unlock it."""
    with_ledger(lambda ledger: lock_region(ledger, place(application, region), user, why, minutes, takes_over))


def unlock(
    region: Region,
    why: Why,
    user: User = "",
    is_forced: Annotated[bool, typer.Option("--force", help="Also where it is not yours.")] = False,
    application: Application = "api",
) -> None:
    """Free a region's lock."""
    with_ledger(lambda ledger: unlock_region(ledger, place(application, region), user, why, is_forced=is_forced))


def hold(
    region: Regions,
    why: Why,
    user: User = "",
    minutes: Annotated[float | None, typer.Option(min=1, help="Without: until it is released.")] = None,
    application: Application = "api",
) -> None:
    """Hold pushes: none begins or goes forward in the region. Rollbacks may."""
    with_ledger(lambda ledger: hold_places(ledger, places(application, region), user, why, minutes))


def release(region: Regions, why: Why, user: User = "", application: Application = "api") -> None:
    """Let a region's pushes go on that were held."""
    with_ledger(lambda ledger: release_places(ledger, places(application, region), user, why))


def locks(application: Application = "api") -> None:
    """Who has which region, why and until when; and what is held."""
    try:
        rows = lock_rows(open_ledger(), load_app(application), clock.now())
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    open_console().print(lock_table(rows))


def with_ledger(deed: Callable[[Ledger], str]) -> None:
    """Say what the deed did, or why it did not."""
    try:
        typer.echo(deed(open_ledger()))
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error


def place(application: str, region: str) -> Place:
    """ConfigError where the application does not run in the region."""
    app = load_app(application)
    if region not in app.prod.region_names:
        known = ", ".join(app.prod.region_names)
        raise ConfigError(f"{app.name} runs in {known}", source="command line", key="region", value=region)
    return Place(app.name, app.stack, region)


def places(application: str, region: str) -> list[Place]:
    names = load_app(application).prod.region_names if region == EVERYWHERE else [region]
    return [place(application, name) for name in names]


def lock_region(ledger: Ledger, where: Place, user: str, why: str, minutes: float, takes_over: bool) -> str:
    claim = Claim(person(user), Holder.PERSON, user, why, minutes * 60, takes_over)
    try:
        return ledger.claim(where, claim, clock.now()).describe()
    except LockedError as error:
        raise RefusedError(f"{error} With --take-over it becomes yours.") from error


def unlock_region(ledger: Ledger, where: Place, user: str, why: str, *, is_forced: bool) -> str:
    lease = ledger.lease(where)
    if lease is None:
        return f"{where} is not locked."
    if lease.is_running(clock.now()) and lease.owner != person(user) and not is_forced:
        raise RefusedError(f"{lease.describe()} With --force it is freed nevertheless.")
    freed = ledger.free(where, clock.now(), owner=lease.owner, who=user, why=why)
    return f"{where} is free." if freed else f"{where} has just become somebody else's; look again."


def hold_places(ledger: Ledger, where: Iterable[Place], user: str, why: str, minutes: float | None) -> str:
    now = clock.now()
    until = None if minutes is None else now + timedelta(minutes=minutes)
    holds = [Hold(one, user, why, now, until) for one in where]
    for one in holds:
        ledger.place_hold(one)
    return "\n".join(one.describe() for one in holds)


def release_places(ledger: Ledger, where: Iterable[Place], user: str, why: str) -> str:
    said = []
    for one in where:
        lifted = ledger.lift_hold(one, clock.now(), who=user, why=why)
        said.append(f"{one} goes on; {lifted.who} held it: {lifted.why}" if lifted else f"{one} was not held.")
    return "\n".join(said)


def lock_rows(ledger: Ledger, app: App, now: datetime) -> list[dict[str, str]]:
    """A row per region: who has its lock, why, until when; its hold; and how its last push stands."""
    return [_row(ledger, Place(app.name, app.stack, region), now) for region in app.prod.region_names]


def _row(ledger: Ledger, where: Place, now: datetime) -> dict[str, str]:
    lease, held = ledger.lease(where), ledger.hold(where, now)
    row = {
        "region": where.region,
        "lock": "free",
        "until": "",
        "why": "",
        "hold": "",
        "last push": _last(ledger, where),
    }
    if lease is not None and lease.is_running(now):
        row |= {"lock": f"{lease.who} ({lease.holder})", "until": _clock(lease.until), "why": lease.why}
    if held is not None:
        until = f" until {_clock(held.until)}" if held.until else ""
        row["hold"] = f"{held.who}{until}: {held.why}"
    return row


def _last(ledger: Ledger, where: Place) -> str:
    newest = next(iter(pushes(ledger.events(place=where, kinds=TOLD_OF_PUSHES))), None)
    if newest is None:
        return ""
    what = newest.build.version or newest.build.image if newest.build else newest.run
    return f"{what} {newest.outcome} {_clock(newest.ended or newest.started)} by {newest.who}"


def _clock(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M:%S} UTC"


def person(user: str) -> str:
    """Who a person's lock is claimed for; RefusedError where nobody says who it is."""
    if not user:
        raise RefusedError("Who are you? Say it with --user.")
    return f"person-{user}"
