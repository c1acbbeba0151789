"""What Alembic runs the migrations with: the connection and transaction that database.py opened."""

from alembic import context

from llmops.store.tables import metadata

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    version_table=attributes["version_table"],
    target_metadata=metadata,
)
context.run_migrations()
