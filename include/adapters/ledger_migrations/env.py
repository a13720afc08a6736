"""Run by Alembic, on the connection that ledger_schema.py gives it; the transaction is the caller's."""

from __future__ import annotations

from alembic import context

from include.adapters.ledger_tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
