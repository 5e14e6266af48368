"""Fills a database with years of the desk's work, a million applications in minutes: COPY on PostgreSQL, one transaction of
many rows on SQLite. What the rows say is in `likenesses`.
"""

import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from sqlalchemy import ColumnDefault, Connection, Engine, Table, text

from tests import people
from tests.bench.likenesses import COLUMNS, Population, Row, Rows, staff, work
from workflow.database import create_engine, transaction
from workflow.db.tables import DeskTable

AT_ONCE = 2_500
PART = 50_000
"""How many applications a process takes at a time; a filling smaller than that is quicker in one."""
_KEPT = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
_INDEXES = """SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid::regclass::text = ANY(:tables) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"""


def fill(engine: Engine, population: Population) -> None:
    """Fills an empty, migrated database. Nobody else may use it meanwhile: its indexes are made anew at the end."""
    with transaction(engine) as session:
        people.move_in(session)
    indexes = _drop_indexes(engine)
    _write(engine, [staff(population)])
    parts = [range(at, min(at + PART, population.applications)) for at in range(0, population.applications, PART)]
    if engine.dialect.name == "sqlite" or len(parts) == 1:
        _write(engine, (rows for part in parts for rows in _in_pieces(population, part)))
    else:
        url = engine.url.render_as_string(hide_password=False)
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as two:
            list(two.map(_fill_part, [(url, population, part) for part in parts]))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
        for statement in indexes:
            connection.execute(text(statement))
    if engine.dialect.name == "postgresql":  # as after a night in use; SQLite in use has no statistics
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _fill_part(what: tuple[str, Population, range]) -> None:
    url, population, part = what
    engine = create_engine(url)
    _write(engine, _in_pieces(population, part))
    engine.dispose()


def _in_pieces(population: Population, part: range) -> Iterable[Rows]:
    return (work(population, part[at : at + AT_ONCE]) for at in range(0, len(part), AT_ONCE))


def _drop_indexes(engine: Engine) -> list[str]:
    """Drops the indexes that no constraint needs; returns the statements that make them again."""
    tables = [_table(name).name for name in COLUMNS]
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            kept = [row[0] for row in connection.execute(text(_KEPT))]
            names = [row[0] for row in connection.execute(text(_KEPT.replace("SELECT sql", "SELECT name")))]
        else:
            found = connection.execute(text(_INDEXES), {"tables": tables}).all()
            names, kept = [row[0] for row in found], [row[1] for row in found]
        for name in names:
            connection.execute(text(f"DROP INDEX {name}"))
    return kept


def _write(engine: Engine, pieces: Iterable[Rows]) -> None:
    """Writes rows in one transaction, unchecked: what refers to what is made to fit."""
    with engine.connect() as connection:
        write = _copy if engine.dialect.name == "postgresql" else _insert
        if engine.dialect.name == "postgresql":
            # For this session only: no trigger refuses, no key is looked up, and the disk is not waited for.
            connection.execute(text("SET session_replication_role = replica"))
            connection.execute(text("SET synchronous_commit = off"))
            connection.execute(text("SET timezone = 'UTC'"))
        else:
            connection.exec_driver_sql("ROLLBACK")  # within a transaction the next line does nothing
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN")
        for rows in pieces:
            for name, its_own in rows.items():
                if its_own:
                    write(connection, _table(name), COLUMNS[name], its_own)
        connection.commit()
        connection.invalidate()  # the next one shall have the usual settings


def _copy(connection: Connection, table: Table, columns: tuple[str, ...], rows: list[Row]) -> None:
    given, rest = _defaults(table, columns)
    after = "".join(f"\t{_as_text(value)}" for value in rest)
    lines = "".join("\t".join(map(_as_text, row)) + after + "\n" for row in rows)
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f'COPY "{table.name}" ({", ".join(given)}) FROM STDIN') as copy:
        copy.write(lines)


def _as_text(value: str | int | bytes | None) -> str:
    if isinstance(value, str):
        return value.replace("\\", "\\\\") if "\\" in value else value
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    return "\\N" if value is None else str(value)


def _insert(connection: Connection, table: Table, columns: tuple[str, ...], rows: list[Row]) -> None:
    given, rest = _defaults(table, columns)
    marks = ", ".join("?" * len(given))
    statement = f'INSERT INTO "{table.name}" ({", ".join(given)}) VALUES ({marks})'
    cursor: Any = connection.connection.cursor()
    cursor.executemany(statement, [(*row, *rest) for row in rows] if rest else rows)


def _defaults(table: Table, columns: tuple[str, ...]) -> tuple[list[str], list[Any]]:
    """The columns to write, and the values of those that the rows do not have: what the table gives a new row."""
    others = {
        each.name: each.default.arg
        for each in table.columns
        if each.name not in columns and isinstance(each.default, ColumnDefault) and each.default.is_scalar
    }
    return [f'"{name}"' for name in (*columns, *others)], [
        int(value) if isinstance(value, bool) else value for value in others.values()
    ]


def _table(name: str) -> Table:
    return DeskTable.metadata.tables[name]
