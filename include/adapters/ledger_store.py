"""The ledger in a database: every verb one transaction, with its event and what is to be told of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, Engine, Select, select, update

from include.adapters.ledger_engine import ledger_engine, transaction
from include.adapters.ledger_nudges import SqlNudges
from include.adapters.ledger_rows import (
    at_place,
    event_row,
    hold_row,
    lease_row,
    place_row,
    read_event,
    read_hold,
    read_lease,
)
from include.adapters.ledger_schema import check_revision
from include.adapters.ledger_tables import events, holds, insert_into, locks, outbox
from include.errors import RefusedError
from include.ledger import Claim, Event, Hold, Kind, Lease, Place, Recorded
from include.ledger.folds import topics_of
from include.ledger.locks import check_lease, decide_claim, renewed

FREE = dict.fromkeys(("owner", "holder", "who", "why", "since", "until"))


class SqlLedger(SqlNudges):
    """A `Ledger`, and its `Nudges`, in SQLite or PostgreSQL. ConfigError where its tables are not of this code's
    revision."""

    def __init__(self, database: str | URL | Engine) -> None:
        self.engine = database if isinstance(database, Engine) else ledger_engine(database)
        check_revision(self.engine)

    def close(self) -> None:
        """Give back the connections; the ledger may be used again."""
        self.engine.dispose()

    def record(self, event: Event) -> bool:
        with transaction(self.engine) as connection:
            return _record(connection, event)

    def record_first(self, first: Event, others: Sequence[Event] = ()) -> bool:
        with transaction(self.engine) as connection:
            if not _keep(connection, first):
                return False
            for event in others:
                _keep(connection, event)
            return True

    def events(
        self,
        *,
        place: Place | None = None,
        app: str = "",
        run: str = "",
        kinds: Collection[Kind] = (),
        since: datetime | None = None,
        newest: int | None = None,
    ) -> list[Recorded]:
        wish = select(events).where(_are(kinds or Kind))
        if place:
            wish = wish.where(at_place(events, place))
        if app:
            wish = wish.where(events.c.app == app)
        if run:
            wish = wish.where(events.c.run == run)
        if since:
            wish = wish.where(events.c.at >= since)
        if newest is not None:
            return self._read(wish.order_by(events.c.number.desc()).limit(newest))[::-1]
        return self._read(wish.order_by(events.c.number))

    def claim(self, place: Place, claim: Claim, now: datetime) -> Lease:
        with transaction(self.engine) as connection:
            current, last_token = _lock(connection, place)
            lease = decide_claim(current, place, claim, now, last_token=last_token)
            _write_lease(connection, lease)
            if lease.token != last_token:
                _record(connection, _claim_event(lease, current, now))
            return lease

    def renew(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        with transaction(self.engine) as connection:
            current, _ = _lock(connection, lease.place)
            longer = renewed(current, lease, now, seconds)
            _write_lease(connection, longer)
            return longer

    def check(self, lease: Lease, now: datetime) -> None:
        check_lease(self.lease(lease.place), lease, now)

    def free(self, place: Place, now: datetime, *, owner: str = "", who: str, why: str) -> Lease | None:
        with transaction(self.engine) as connection:
            current, _ = _lock(connection, place)
            if current is None or (owner and current.owner != owner):
                return None
            connection.execute(update(locks).where(at_place(locks, place)).values(FREE))
            key = f"{place}/lock/{current.token}/released"
            _record(connection, _lock_event(key, Kind.LOCK_RELEASED, current, now, who=who, why=why))
            return current

    def lease(self, place: Place) -> Lease | None:
        with transaction(self.engine, reads=True) as connection:
            row = connection.execute(select(locks).where(at_place(locks, place))).mappings().first()
            return read_lease(row) if row else None

    def place_hold(self, hold: Hold) -> None:
        with transaction(self.engine) as connection:
            row = hold_row(hold)
            connection.execute(
                insert_into(connection, holds)
                .values(row)
                .on_conflict_do_update(index_elements=list(place_row(hold.place)), set_=row)
            )
            until = hold.until.isoformat() if hold.until else None
            _record(connection, _hold_event(hold, Kind.HOLD_PLACED, hold.since, hold.who, hold.why, {"until": until}))

    def lift_hold(self, place: Place, now: datetime, *, who: str, why: str) -> Hold | None:
        with transaction(self.engine) as connection:
            row = connection.execute(holds.delete().where(at_place(holds, place)).returning(holds)).mappings().first()
            if row is None:
                return None
            hold = read_hold(row)
            _record(connection, _hold_event(hold, Kind.HOLD_LIFTED, now, who, why, {"placed_by": hold.who}))
            return hold

    def hold(self, place: Place, now: datetime) -> Hold | None:
        with transaction(self.engine, reads=True) as connection:
            row = connection.execute(select(holds).where(at_place(holds, place))).mappings().first()
        hold = read_hold(row) if row else None
        return hold if hold and hold.is_in_force(now) else None

    def pending(self, topic: str, *, limit: int = 100) -> list[Recorded]:
        untold = (outbox.c.topic == topic) & outbox.c.told.is_(None)
        wish = select(events).join(outbox, outbox.c.number == events.c.number).where(untold, _are(Kind))
        return self._read(wish.order_by(events.c.number).limit(limit))

    def mark_told(self, topic: str, numbers: Sequence[int], now: datetime) -> None:
        theirs = (outbox.c.topic == topic) & outbox.c.number.in_(numbers) & outbox.c.told.is_(None)
        with transaction(self.engine) as connection:
            connection.execute(update(outbox).where(theirs).values(told=now))

    def _read(self, wish: Select[Any]) -> list[Recorded]:
        with transaction(self.engine, reads=True) as connection:
            return [read_event(row) for row in connection.execute(wish).mappings()]


def _are(kinds: Iterable[Kind]) -> ColumnElement[bool]:
    """Of these kinds; those that a newer code has written and this one does not know are passed over."""
    return events.c.kind.in_([kind.value for kind in kinds])


def _record(connection: Connection, event: Event) -> bool:
    is_new = _keep(connection, event)
    if not is_new:
        _refuse_another_fact(connection, event)
    return is_new


def _keep(connection: Connection, event: Event) -> bool:
    """False where the key is kept already, by whatever fact."""
    row = event_row(event)
    wish = insert_into(connection, events).values(row).on_conflict_do_nothing(index_elements=["key"])
    number = connection.execute(wish.returning(events.c.number)).scalar()
    if number is None:
        return False
    for topic in sorted(topics_of(event)):
        connection.execute(outbox.insert().values(topic=topic, number=number))
    return True


def _refuse_another_fact(connection: Connection, event: Event) -> None:
    """A key that two facts share would lose one of them, and nobody would know."""
    row = connection.execute(select(events).where(events.c.key == event.key)).mappings().one()
    kept = read_event(row).event
    if (kept.kind, kept.place) != (event.kind, event.place):
        raise RefusedError(
            f"The key {event.key!r} is that of another fact: {kept.kind} at {kept.place}, not {event.kind}"
            f" at {event.place}."
        )


def _lock(connection: Connection, place: Place) -> tuple[Lease | None, int]:
    """The place's lease and its greatest token, until the transaction ends nobody else's to change."""
    first = {**place_row(place), "token": 0}
    connection.execute(insert_into(connection, locks).values(first).on_conflict_do_nothing())
    wish = select(locks).where(at_place(locks, place)).with_for_update()  # SQLite: the transaction has the write lock
    row = connection.execute(wish).mappings().one()
    return read_lease(row), row["token"]


def _write_lease(connection: Connection, lease: Lease) -> None:
    connection.execute(update(locks).where(at_place(locks, lease.place)).values(lease_row(lease)))


def _claim_event(lease: Lease, current: Lease | None, now: datetime) -> Event:
    """A token is given out once, so it is the fact's key. Taken over is what was running."""
    is_take_over = current is not None and current.is_running(now)
    kind = Kind.LOCK_TAKEN_OVER if is_take_over else Kind.LOCK_CLAIMED
    key = f"{lease.place}/lock/{lease.token}/claimed"
    taken_from = {"from": current.who, "from_owner": current.owner} if current and is_take_over else {}
    return _lock_event(key, kind, lease, now, who=lease.who, why=lease.why, **taken_from)


def _lock_event(key: str, kind: Kind, lease: Lease, now: datetime, *, who: str, why: str, **more: str) -> Event:
    data = {"token": lease.token, "owner": lease.owner, "holder": lease.holder.value, **more}
    return Event(key, kind, now, lease.place, run=lease.owner, who=who, why=why, data=data)


def _hold_event(hold: Hold, kind: Kind, at: datetime, who: str, why: str, data: dict[str, str | None]) -> Event:
    """A hold is known by its place, moment and maker."""
    verb = kind.value.partition(".")[2]
    key = f"{hold.place}/hold/{hold.since.isoformat()}/{hold.who}/{verb}"
    return Event(key, kind, at, hold.place, who=who, why=why, data=dict(data))
