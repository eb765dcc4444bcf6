"""Alembic migrations; `db.migrate.migrate` runs them."""
