"""Alembic's entry: runs the migrations in the transaction that `db.migrate` has begun."""

from __future__ import annotations

from alembic import context

from db.schema import metadata

# SQLite can roll back DDL too, once BEGIN is ours (db.engine) and not the driver's.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
