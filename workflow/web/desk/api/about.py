"""What the desk says about itself: whether it works, what can be licensed, and who the caller is to it."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from workflow.database import reading
from workflow.db.queries import housekeeping, overview, queues
from workflow.domain.catalogue import Entry
from workflow.domain.roles import Permission, Role
from workflow.times import utc_now, wall_now
from workflow.web.desk.api.caller import Anyone, Inside, Known

router = APIRouter(tags=["about"])


class ProcessDocument(BaseModel):
    """When a process last said that it lives."""

    process: str
    at: datetime
    detail: str


class HealthDocument(BaseModel):
    """That the database answers. Operators and auditors are told how the work gets on as well."""

    status: str = "ok"
    now: datetime = Field(description="The desk's clock, which validity is judged by.")
    waiting_seconds: float | None = Field(default=None, description="How long the oldest job has waited for a worker.")
    needs_attention: int | None = Field(default=None, description="Dead jobs, and installations nobody confirmed.")
    processes: list[ProcessDocument] | None = None


class EntryDocument(BaseModel):
    """Something that can be licensed."""

    code: str = Field(examples=["agent-studio"])
    name: str
    text: str


class CatalogueDocument(BaseModel):
    """All codes an application can name."""

    modules: list[EntryDocument]
    model_types: list[EntryDocument]
    restrictions: list[EntryDocument]


class MeDocument(BaseModel):
    """The person behind the token or session."""

    id: UUID
    name: str
    email: str
    roles: list[Role]


@router.get("/health", summary="Whether the desk works")
def health(house: Inside, who: Anyone) -> HealthDocument:
    """200 while the database answers. Needs no token; an operator's or auditor's brings the details."""
    with reading(house.engine) as session:
        if who is None or not who.may(Permission.READ_OPERATIONS):
            housekeeping.answers(session)
            return HealthDocument(now=utc_now())
        return HealthDocument(
            now=utc_now(),
            waiting_seconds=queues.totals(queues.all_queues(session)).lag(wall_now()).total_seconds(),
            needs_attention=overview.count_attention(session),
            processes=[
                ProcessDocument(process=each.process, at=each.at, detail=each.detail)
                for each in housekeeping.heartbeats(session)
            ],
        )


@router.get("/catalogue", summary="What can be licensed")
def catalogue(house: Inside, who: Known) -> CatalogueDocument:
    """Modules, model types and usage restrictions, in the order in which they are shown."""
    known = house.desk.catalogue
    return CatalogueDocument(
        modules=[_entry(each) for each in known.modules],
        model_types=[_entry(each) for each in known.model_types],
        restrictions=[_entry(each) for each in known.restrictions],
    )


@router.get("/me", summary="Who you are here")
def me(who: Known) -> MeDocument:
    """The person behind the token or session, with the roles held now."""
    return MeDocument(id=who.person_id, name=who.name, email=who.email, roles=sorted(who.actor.roles))


def _entry(entry: Entry) -> EntryDocument:
    return EntryDocument(code=entry.code, name=entry.name, text=entry.text)
