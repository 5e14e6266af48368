"""Statements are compiled once per test process, not once per test.

Each test has engines of its own, and SQLAlchemy keeps what it compiled per engine: compiling anew took half of the time of the
tests that use a database. The dialects here are SQLAlchemy's own; only that two of a kind count as one, and their engines share
what they compiled.
"""

from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_COMPILED: LRUCache[Any, Any] = LRUCache(5000)


class _Sharing(Dialect):
    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=_COMPILED)


class SharingSqlite(_Sharing, SQLiteDialect_pysqlite):
    """SQLite with the standard library's driver."""

    supports_statement_cache = True


class SharingPostgres(_Sharing, PGDialect_psycopg):
    """PostgreSQL with psycopg."""

    supports_statement_cache = True


def share() -> None:
    """From now on, for every engine that this process makes."""
    registry.register("sqlite", __name__, SharingSqlite.__name__)
    registry.register("postgresql.psycopg", __name__, SharingPostgres.__name__)
