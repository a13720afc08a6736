"""`./redstart lock`, `unlock`, `hold`, `unhold`, `locks`: a person's share in the locks of the automation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from include.apps import App, load_app
from include.errors import ConfigError, RedstartError, RefusedError
from include.ledger import EVERY_REGION, Claim, Hold, Holder, LockedError, Place
from include.ledger.folds import TOLD_OF_PUSHES, pushes
from redstart.cli.connected import open_ledger
from redstart.cli.judging import complain
from redstart.cli.screen import lock_table, open_console
from redstart.operators import clock

if TYPE_CHECKING:
    from include.ledger import Ledger

EVERYWHERE = "all"

Region = Annotated[
    str, typer.Argument(help=f"Which region; `{EVERY_REGION}` is the way into production, one delivery's at a time.")
]
Regions = Annotated[str, typer.Argument(help=f"Which region; `{EVERYWHERE}` for each.")]
Why = Annotated[str, typer.Option(help="Kept in the ledger, and shown to whoever meets it.")]
User = Annotated[str, typer.Option(envvar=["REDSTART_USER", "USER"], help="Who you are.")]
Application = Annotated[str, typer.Option("--app", help="Which application.")]
InEnvironment = Annotated[str, typer.Option("--environment", help="Which environment of the application.")]


def lock(
    region: Region,
    why: Why,
    user: User = "",
    minutes: Annotated[float, typer.Option(min=1, max=24 * 60, help="It frees itself after them.")] = 60,
    takes_over: Annotated[bool, typer.Option("--take-over", help="Also where somebody else has it.")] = False,
    environment: InEnvironment = "prod",
    application: Application = "api",
) -> None:
    """Lock a region: no push, canary, rollback or sweep changes it until you unlock it."""
    with_ledger(
        lambda ledger: lock_region(ledger, place(application, region, environment), user, why, minutes, takes_over)
    )


def unlock(
    region: Region,
    why: Why,
    user: User = "",
    is_forced: Annotated[bool, typer.Option("--force", help="Also where it is not yours.")] = False,
    environment: InEnvironment = "prod",
    application: Application = "api",
) -> None:
    """Free a region's lock."""
    with_ledger(
        lambda ledger: unlock_region(ledger, place(application, region, environment), user, why, is_forced=is_forced)
    )


def hold(
    region: Regions,
    why: Why,
    user: User = "",
    minutes: Annotated[float | None, typer.Option(min=1, help="Without: until it is released.")] = None,
    environment: InEnvironment = "prod",
    application: Application = "api",
) -> None:
    """Hold pushes: none begins or goes forward in the region. Rollbacks may."""
    with_ledger(lambda ledger: hold_places(ledger, places(application, region, environment), user, why, minutes))


def unhold(
    region: Regions, why: Why, user: User = "", environment: InEnvironment = "prod", application: Application = "api"
) -> None:
    """Let a region's pushes go on that were held."""
    with_ledger(lambda ledger: unhold_places(ledger, places(application, region, environment), user, why))


def locks(application: Application = "api") -> None:
    """Who has which region of which environment, why and until when; and what is held."""
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


def place(application: str, region: str, environment: str = "prod") -> Place:
    """ConfigError where the application has no such environment, or that one does not run in the region.

    Of production there is one place more, all regions together: whose delivery is on its way has its lock.
    """
    app = load_app(application)
    site = app.environment(environment)
    if region == EVERY_REGION and environment == "prod":
        return Place(app.name, site.stack, EVERY_REGION)
    if region not in site.region_names:
        known = ", ".join(site.region_names)
        raise ConfigError(f"{app.name}-{site.stack} runs in {known}", source="command line", key="region", value=region)
    return Place(app.name, site.stack, region)


def places(application: str, region: str, environment: str = "prod") -> list[Place]:
    names = (
        load_app(application).environment(environment).region_names
        if region in (EVERYWHERE, EVERY_REGION)
        else [region]
    )
    return [place(application, name, environment) for name in names]


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


def unhold_places(ledger: Ledger, where: Iterable[Place], user: str, why: str) -> str:
    said = []
    for one in where:
        lifted = ledger.lift_hold(one, clock.now(), who=user, why=why)
        said.append(f"{one} goes on; {lifted.who} held it: {lifted.why}" if lifted else f"{one} was not held.")
    return "\n".join(said)


def lock_rows(ledger: Ledger, app: App, now: datetime) -> list[dict[str, str]]:
    """A row per region of every environment: who has its lock, why, until when; its hold; how its last push stands.

    Before them, where somebody has it, the lock of production as a whole: whose delivery is on its way.
    """
    everywhere = Place(app.name, app.prod.stack, EVERY_REGION)
    line = ledger.lease(everywhere)
    rows = [_row(ledger, everywhere, "prod", now)] if line is not None and line.is_running(now) else []
    sites = [(name, site, region) for name, site in app.environments.by_name.items() for region in site.region_names]
    return rows + [_row(ledger, Place(app.name, site.stack, region), name, now) for name, site, region in sites]


def _row(ledger: Ledger, where: Place, environment: str, now: datetime) -> dict[str, str]:
    lease, held = ledger.lease(where), ledger.hold(where, now)
    row = {
        "environment": environment,
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
