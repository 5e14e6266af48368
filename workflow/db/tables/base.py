"""What every table is made of."""

from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Table
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from workflow.database import UtcDateTime

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


LANGUAGES = ("en", "zh")
"""what somebody can be written to in"""


class DeskTable(SQLModel, registry=registry()):
    """Base of the desk's tables; the console has a registry of its own."""

    __table_args__: ClassVar[Any] = ()


DeskTable.metadata.naming_convention = NAMES


def table_of(row: type[DeskTable]) -> Table:
    """The table behind a row's class, for statements that bypass the session."""
    return DeskTable.metadata.tables[str(row.__tablename__)]


def one_of(column: str, values: Any, name: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


def moment(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(
        default=None if nullable else ...,
        sa_type=UtcDateTime,
        nullable=nullable,
        index=index,
    )
