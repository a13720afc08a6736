"""Nudges in the ledger's database: one row a branch."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, select

from include.adapters.ledger_engine import transaction
from include.adapters.ledger_rows import printable
from include.adapters.ledger_tables import insert_into, nudges


class SqlNudges:
    """`Nudges` in the ledger of `engine`."""

    engine: Engine

    def nudge(self, repository: str, branch: str, commit: str, now: datetime) -> int:
        row = {"repository": repository, "branch": branch, "commit": printable(commit), "at": now}
        with transaction(self.engine) as connection:
            wish = insert_into(connection, nudges).values(**row, number=1)
            counted = wish.on_conflict_do_update(
                index_elements=["repository", "branch"],
                set_={"number": nudges.c.number + 1, "commit": wish.excluded.commit, "at": wish.excluded.at},
            )
            return int(connection.execute(counted.returning(nudges.c.number)).scalar_one())

    def nudges(self) -> dict[tuple[str, str], int]:
        with transaction(self.engine, reads=True) as connection:
            rows = connection.execute(select(nudges.c.repository, nudges.c.branch, nudges.c.number)).tuples()
            return {(repository, branch): number for repository, branch, number in rows}
