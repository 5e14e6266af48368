"""Runs the console's migrations on the connection that `store.upgrade` hands over."""

from alembic import context

from workflow.console.store import ConsoleTable

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=ConsoleTable.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
