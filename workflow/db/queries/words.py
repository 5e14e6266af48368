"""Finding customers by what people type: the beginning of a word, or a part of one, of the company's name, the tenant ID, the
labels of its environments and its License IDs.

Each end of each word is a row ("logistics", "ogistics", ...), so that a part of a word is the beginning of one: an index finds
it on both databases, Chinese names included, which have no spaces.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, false, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from workflow.db.tables import Environment, TenantWord
from workflow.db.upsert import insert_into
from workflow.domain.terms import EnvironmentName

LONGEST = 40
FEW = 400
"""Up to so many customers are looked up one by one. More common words are found soon enough in a list that is read in order."""
_WORD = re.compile(r"[^\W_]+")
_LAST = chr(0x10FFFF)


@dataclass(frozen=True)
class Asked:
    """What somebody typed: every word has to be found. `environment` is a word that names one."""

    words: tuple[str, ...]
    environment: EnvironmentName | None = None

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to look for, only signs."""
        return not self.words and self.environment is None


def asked(search: str) -> Asked:
    """What to look for."""
    typed = _split(search)
    named = [each for each in EnvironmentName if each.value.casefold() in typed]
    environment = named[0] if len(named) == 1 else None
    rest = [each[:LONGEST] for each in typed if environment is None or each != environment.value.casefold()]
    return Asked(tuple(sorted(set(rest), key=len, reverse=True)), environment)


def ends_of(*texts: str) -> set[str]:
    """The words of these texts, and what is left of each after its first signs, two signs at least."""
    found = {word for each in texts for word in _split(each)}
    return {word[at:][:LONGEST] for word in found for at in range(max(1, len(word) - 1))}


def add(session: Session, tenant: UUID, found: Iterable[str]) -> None:
    """Has the customer found by these words, too."""
    rows = [{"tenant": tenant, "word": word} for word in sorted(found)]
    if rows:
        session.execute(insert_into(session, TenantWord).on_conflict_do_nothing(), rows)


def of_tenants(session: Session, asked: Asked, tenant_column: Any) -> Any:
    """The condition that the customer of this column is found."""
    if not asked.words:
        return false() if asked.nothing else true()
    few = _few(session, asked)
    return and_(*_found_by(asked, tenant_column)) if few is None else tenant_column.in_(few)


def of_environments(session: Session, asked: Asked, environment_column: Any) -> Any:
    """The condition that the customer of the environment of this column is found."""
    if not asked.words:
        return false() if asked.nothing else true()
    few = _few(session, asked)
    if few is None:
        place = aliased(Environment)
        return select(place.id).where(place.id == environment_column, *_found_by(asked, place.tenant)).exists()
    return environment_column.in_(session.exec(select(Environment.id).where(col(Environment.tenant).in_(few))).all())


def _few(session: Session, asked: Asked) -> Sequence[UUID] | None:
    """The customers that are found, if they are few."""
    longest, *rest = asked.words
    others = _found_by(Asked(tuple(rest)), col(TenantWord.tenant))
    query = select(TenantWord.tenant).where(*_begins(TenantWord, longest), *others).distinct()
    found = session.exec(query.limit(FEW + 1)).all()
    return found if len(found) <= FEW else None


def _found_by(asked: Asked, tenant: Any) -> list[Any]:
    """Conditions: each word is one of this customer's."""
    conditions = []
    for word in asked.words:
        row = aliased(TenantWord)
        conditions.append(select(row.tenant).where(row.tenant == tenant, *_begins(row, word)).exists())
    return conditions


def _begins(row: Any, word: str) -> tuple[Any, Any]:
    return col(row.word) >= word, col(row.word) < word + _LAST


def _split(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
