"""INSERT with ON CONFLICT, which SQLite and PostgreSQL both have and SQLAlchemy has under two names."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from workflow.db.tables import DeskTable


def insert_into(session: Session, table: type[DeskTable]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT of the session's own database that takes `on_conflict_do_update` and `on_conflict_do_nothing`."""
    dialect = session.get_bind().dialect.name
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
