"""Events, locks, holds and the outbox. Columns are said here once more: a migration never changes, tables do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Json = sa.JSON().with_variant(JSONB(), "postgresql")
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _make_events()
    op.create_table(
        "ledger_locks",
        *_place(),
        sa.Column("token", Number, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("holder", sa.String(20)),
        sa.Column("who", sa.Text),
        sa.Column("why", sa.Text),
        sa.Column("since", Moment),
        sa.Column("until", Moment),
        sa.PrimaryKeyConstraint("app", "stack", "region", name="pk_ledger_locks"),
    )
    op.create_table(
        "ledger_holds",
        *_place(),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.Column("until", Moment),
        sa.PrimaryKeyConstraint("app", "stack", "region", name="pk_ledger_holds"),
    )
    op.create_table(
        "ledger_outbox",
        sa.Column("topic", sa.String(40), nullable=False),
        sa.Column("number", Number, nullable=False),
        sa.Column("told", Moment),
        sa.PrimaryKeyConstraint("topic", "number", name="pk_ledger_outbox"),
        sa.ForeignKeyConstraint(["number"], ["ledger_events.number"], name="fk_ledger_outbox_number"),
    )
    _refuse_changes()


def _make_events() -> None:
    op.create_table(
        "ledger_events",
        sa.Column("number", Number, nullable=False, autoincrement=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("at", Moment, nullable=False),
        *_place(),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_ledger_events"),
        sa.UniqueConstraint("key", name="uq_ledger_events_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ledger_events_place", "ledger_events", ["app", "stack", "region", "number"])
    op.create_index("ix_ledger_events_run", "ledger_events", ["run", "app", "stack", "region", "number"])


def _place() -> list[sa.Column[str]]:
    return [
        sa.Column("app", sa.String(100), nullable=False),
        sa.Column("stack", sa.String(100), nullable=False),
        sa.Column("region", sa.String(40), nullable=False),
    ]


def _refuse_changes() -> None:
    """What happened stays as it was told: the database itself refuses to change or delete an event."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER ledger_events_no_{verb.lower()} BEFORE {verb} ON ledger_events "
                "BEGIN SELECT RAISE(ABORT, 'ledger_events is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION ledger_events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'ledger_events is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER ledger_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_events_refuse()"
    )
