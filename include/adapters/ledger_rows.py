"""Rows of the ledger's tables to values and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Table, and_

from include.ledger import Event, Hold, Holder, Json, Kind, Lease, Place, Recorded


def at_place(table: Table, place: Place) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in place_row(place).items()))


def place_row(place: Place) -> dict[str, Any]:
    return {"app": place.app, "stack": place.stack, "region": place.region}


def event_row(event: Event) -> dict[str, Any]:
    return {
        "key": event.key,
        "kind": event.kind.value,
        "at": event.at,
        **place_row(event.place),
        "run": event.run,
        "who": printable(event.who),
        "why": printable(event.why),
        "data": plain(event.data),
        "version": event.version,
    }


def plain(data: Json) -> Any:
    """Any mapping as a dict: that is what can be written as JSON."""
    if isinstance(data, Mapping):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    return printable(data) if isinstance(data, str) else data


def printable(text: str) -> str:
    """What people wrote, without the one character that PostgreSQL cannot keep."""
    return text.replace("\0", "")


def read_event(row: RowMapping) -> Recorded:
    names = ("key", "at", "run", "who", "why", "data", "version")
    event = Event(kind=Kind(row["kind"]), place=_read_place(row), **{name: row[name] for name in names})
    return Recorded(row["number"], event)


def lease_row(lease: Lease) -> dict[str, Any]:
    names = ("token", "owner", "who", "why", "since", "until")
    row = {**place_row(lease.place), "holder": lease.holder.value, **{name: getattr(lease, name) for name in names}}
    return {**row, "who": printable(lease.who), "why": printable(lease.why)}


def read_lease(row: RowMapping) -> Lease | None:
    """None where the row says that the place is free."""
    if row["owner"] is None:
        return None
    names = ("owner", "who", "why", "since", "until", "token")
    return Lease(_read_place(row), holder=Holder(row["holder"]), **{name: row[name] for name in names})


def hold_row(hold: Hold) -> dict[str, Any]:
    said = {"who": printable(hold.who), "why": printable(hold.why)}
    return {**place_row(hold.place), **said, "since": hold.since, "until": hold.until}


def read_hold(row: RowMapping) -> Hold:
    return Hold(_read_place(row), row["who"], row["why"], row["since"], row["until"])


def _read_place(row: RowMapping) -> Place:
    return Place(row["app"], row["stack"], row["region"])
