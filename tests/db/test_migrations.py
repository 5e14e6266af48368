"""The schema that migrations make is the one the tables declare, on both databases."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from workflow.database import create_engine
from workflow.db.migrations import is_current, upgrade
from workflow.db.tables import DeskTable


def test_an_upgraded_database_has_exactly_the_declared_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, DeskTable.metadata) == []


def test_every_check_and_partial_index_of_the_tables_is_in_the_database(engine: Engine) -> None:
    """compare_metadata looks at neither the checks nor the conditions of indexes."""
    found = inspect(engine)
    for table in DeskTable.metadata.sorted_tables:
        declared = {str(each.name) for each in table.constraints if type(each).__name__ == "CheckConstraint"}
        assert {each["name"] for each in found.get_check_constraints(table.name)} == declared, table.name
        option = f"{engine.dialect.name}_where"
        partial = {str(each.name) for each in table.indexes if each.dialect_options[engine.dialect.name]["where"] is not None}
        stored = {each["name"] for each in found.get_indexes(table.name) if option in each.get("dialect_options", {})}
        assert stored == partial, table.name


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    assert is_current(engine)
    upgrade(engine)
    assert is_current(engine)


def test_an_empty_database_is_not_current(tmp_path: Path) -> None:
    empty = create_engine(f"sqlite:///{tmp_path}/empty.sqlite3")
    assert not is_current(empty)
    upgrade(empty)
    assert is_current(empty)
    empty.dispose()


@pytest.mark.parametrize("table", ["event", "checkpoint"])
def test_the_triggers_that_guard_the_history_are_there(engine: Engine, table: str) -> None:
    if engine.dialect.name == "sqlite":
        query, expected = (
            f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'",
            {f"{table}_no_update", f"{table}_no_delete"},
        )
    else:
        query, expected = (
            f"SELECT tgname FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal",
            {f"{table}_no_change", f"{table}_no_truncate"},
        )
    with engine.connect() as connection:
        assert set(connection.execute(text(query)).scalars()) == expected
