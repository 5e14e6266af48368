"""Whether anything about an application changed: what open pages ask again and again, so it must be cheap."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import String, cast, func
from sqlmodel import Session, col, select

from workflow.db.tables import Application, Delivery, EventStream, JobRow


def stamps(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """For each application a text that changes whenever its status, history, jobs or deliveries do."""
    heads: dict[str, int] = dict(
        session.exec(
            select(EventStream.stream, EventStream.count).where(col(EventStream.stream).in_([str(each) for each in ids]))
        ).all()
    )
    versions = session.exec(select(Application.id, Application.version).where(col(Application.id).in_(ids))).all()
    jobs = {
        ref: f"{attempts}.{done}"
        for ref, attempts, done in session.exec(
            select(JobRow.ref, func.sum(JobRow.attempts), func.count(col(JobRow.done_at)))
            .where(col(JobRow.ref).in_(ids))
            .group_by(col(JobRow.ref))
        )
    }
    messages = {
        application: f"{states}.{sent}"
        for application, states, sent in session.exec(
            select(
                Delivery.application,
                func.sum(func.length(cast(Delivery.state, String))),
                func.count(col(Delivery.sent_at)) + func.count(col(Delivery.downloaded_at)),
            )
            .where(col(Delivery.application).in_(ids))
            .group_by(col(Delivery.application))
        )
    }
    return {
        application: f"{version}-{heads.get(str(application), 0)}-{jobs.get(application, '0')}-{messages.get(application, '0')}"
        for application, version in versions
    }
