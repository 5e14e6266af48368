"""Alembic's entry: runs on the connection that `migrations.upgrade` hands over."""

from typing import Any, Literal

from alembic import context

from workflow.database import UtcDateTime
from workflow.db.tables import DeskTable


def _render_item(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """A migration must not change when our column type does, so it names the plain type."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and type(item).__name__ == "AutoString":
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def run(connection: Any) -> None:
    """Migrates in one transaction; batch mode because SQLite cannot alter a table in place."""
    context.configure(
        connection=connection,
        target_metadata=DeskTable.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=_render_item,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
