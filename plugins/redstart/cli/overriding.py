"""`./redstart override`: pushes may begin outside of their quiet windows, as the form has it; and its end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from include.apps import load_app
from include.errors import ConfigError, RedstartError, RefusedError
from include.ledger import Kind, Place
from include.ledger.overrides import (
    LEAST_MINUTES,
    LEAST_WHY,
    MINUTES,
    MOST_MINUTES,
    MOST_WHY,
    Override,
    override_event,
    override_in_force,
    record_override,
)
from redstart.cli.judging import complain
from redstart.cli.locking import EVERYWHERE, Application, InEnvironment, User, person, places, with_ledger
from redstart.operators import clock

if TYPE_CHECKING:
    from include.ledger import Ledger


def override(
    regions: Annotated[list[str], typer.Argument(help=f"Which regions; `{EVERYWHERE}` for each.")],
    why: Annotated[str, typer.Option(help="Kept in the ledger, and told in chat (5 to 500 characters).")],
    minutes: Annotated[
        int, typer.Option(min=LEAST_MINUTES, max=MOST_MINUTES, help="For so long a push may begin there.")
    ] = MINUTES,
    ends: Annotated[bool, typer.Option("--end", help="End one that is in force, before its time.")] = False,
    user: User = "",
    environment: InEnvironment = "prod",
    application: Application = "api",
) -> None:
    """Let pushes begin at once, outside of their regions' quiet windows and in freezes."""

    try:  # the words first: without a ledger a mistake is named all the same
        where = windowed_places(application, regions, environment)
        check_words(user, why)
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error

    def deed(ledger: Ledger) -> str:
        if ends:
            return end_overrides(ledger, where, user, why)
        return override_places(ledger, where, user, why, minutes)

    with_ledger(deed)


def windowed_places(application: str, regions: Iterable[str], environment: str = "prod") -> list[Place]:
    """Each place once. ConfigError for a region that is not served, or pushes that wait for no window."""
    site = load_app(application).environment(environment)
    if site.windows is None:
        name = f"{application}-{site.stack}"
        raise ConfigError(f"{name} is pushed at any time: it has no windows", source="command line", key="environment")
    return list(dict.fromkeys(one for region in regions for one in places(application, region, environment)))


def override_places(ledger: Ledger, where: Iterable[Place], user: str, why: str, minutes: int) -> str:
    from redstart.operators.override import who_waits  # not before the connections are in place

    check_words(user, why)
    now = clock.now()
    said = []
    for place in where:
        wanted = Override(place, user, why, now, now + timedelta(minutes=minutes))
        kept = record_override(ledger, wanted, key_of(place, now.isoformat()))
        said.append(f"{kept.describe()} {who_waits(ledger, place)}")
    return "\n".join(said)


def end_overrides(ledger: Ledger, where: Iterable[Place], user: str, why: str) -> str:
    check_words(user, why)
    now = clock.now()
    said = []
    for place in where:
        current = override_in_force(ledger, place, now)
        if current is None:
            said.append(f"{place} is not overridden.")
            continue
        ledger.record(override_event(Override(place, user, why, now, now), key_of(place, now.isoformat())))
        said.append(f"{place} waits for its windows again; {current.who} had let pushes begin: {current.why}")
    return "\n".join(said)


def check_words(user: str, why: str) -> None:
    """RefusedError where nobody says who it is, or why."""
    person(user)
    if not LEAST_WHY <= len(why.strip()) <= MOST_WHY:
        raise RefusedError(f"Say why in {LEAST_WHY} to {MOST_WHY} characters: it is kept in the ledger.")


def key_of(place: Place, moment: str) -> str:
    return f"{place}/{Kind.WINDOW_OVERRIDDEN}/{moment}"
