"""Delivering licenses: the encrypted message with the file, or the link for someone without certificate and key."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from workers import facts, mailing
from workers.addressees import reader_of
from workers.app import general
from workers.claims import perform, perform_in_turn
from workers.runtime import Runtime, runtime
from workflow.database import reading, transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import customers, deliveries
from workflow.db.tables import Delivery, PortalCode
from workflow.domain.delivery import Channel
from workflow.domain.events import Job
from workflow.mail import letters
from workflow.services.delivery import ENCRYPTED, LICENSE_DELIVERY, PORTAL_TTL, Built
from workflow.services.parcels import Addressee, Held, NothingToSend, Parcel, hold, parcels_for
from workflow.services.portal import CODE_TTL
from workflow.services.secrets import new_token
from workflow.times import utc_now, wall_now


@general.task(name="license.deliver")  # type: ignore[untyped-decorator]  # Celery has no types
def deliver_license_jobs(*job_ids: str) -> None:
    """Hands licenses to recipients, one after the other."""
    here = runtime()
    perform_in_turn(
        Job.DELIVER,
        job_ids,
        lambda claimed: read_parcels(here, claimed),
        lambda job, read: deliver_license(here, job, read),
        here.claimant,
    )


@general.task(name="portal.send_code")  # type: ignore[untyped-decorator]  # Celery has no types
def send_portal_code_job(job_id: str) -> None:
    """Mails a one-time code."""
    here = runtime()
    perform(Job.PORTAL_CODE, job_id, lambda job: send_portal_code(here, job), here.claimant)


def read_parcels(here: Runtime, claimed: Sequence[ClaimedJob]) -> dict[UUID, Parcel | Held | NothingToSend]:
    """What is to be sent and to whom, now."""
    with reading(here.engine) as session:
        return parcels_for(session, [job.id for job in claimed], wall_now(), here.desk.mail_trust, here.desk.policy)


def deliver_license(here: Runtime, job: ClaimedJob, parcel: Parcel | Held | NothingToSend) -> None:
    """Builds the message for the channel that works now, and sends it."""
    if isinstance(parcel, NothingToSend):
        with transaction(here.engine) as session:
            jobs.finish(session, job, wall_now(), parcel.reason)
        return
    if isinstance(parcel, Held):
        with transaction(here.engine) as session:
            hold(session, mailing.MAILER, job, parcel, utc_now(), wall_now())
        return
    mailing.send(here, job, parcel.stored, lambda: _built(here, job, parcel))


def _built(here: Runtime, job: ClaimedJob, parcel: Parcel) -> Built:
    desk = facts.sender(here.desk)
    issued = facts.license_facts(here.desk, parcel.issued, parcel.content)
    reader = reader_of(parcel.to)
    if parcel.to.channel in ENCRYPTED:
        letter = letters.license_delivery(reader, issued, parcel.issued.envelope, parcel.issued.envelope_sha256, desk)
        built = mailing.encrypted(here, job, parcel.to, letter, LICENSE_DELIVERY)
        token = None
    else:
        token = new_token()
        url = f"{here.desk.public_url}/d/{token}"
        letter = letters.portal_link(reader, url, wall_now() + PORTAL_TTL, parcel.issued.time_zone, desk)
        built = mailing.in_clear(here, job, parcel.to, letter, LICENSE_DELIVERY)
    return replace(built, application=parcel.application.id, issued=parcel.issued.id, round=parcel.round, portal_token=token)


def send_portal_code(here: Runtime, job: ClaimedJob) -> None:
    """The code is in the row until it has been sent, and in nobody's log."""
    with reading(here.engine) as session:
        stored = deliveries.find_by_job(session, job.id)
        row = session.get(PortalCode, job.ref)
        recipient = customers.get_recipient(session, job.recipient) if job.recipient else None
    if row is None or recipient is None or row.code is None or row.ends_at <= wall_now():
        with transaction(here.engine) as session:
            jobs.finish(session, job, wall_now(), "the code has ended")
        return
    to = Addressee(recipient.name, recipient.address, Channel.SIGNED, recipient=recipient.id)
    minutes = int(CODE_TTL.total_seconds() // 60)
    letter = letters.portal_code(reader_of(recipient), row.code, minutes, facts.sender(here.desk))

    def forget_code(session: Session, _delivery: Delivery, _now: datetime) -> None:
        sent = session.get(PortalCode, row.id)
        if sent is not None:
            sent.code = None

    mailing.send(here, job, stored, lambda: mailing.in_clear(here, job, to, letter, "portal_code"), forget_code)
