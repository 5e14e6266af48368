"""Sending one message as near to once as SMTP allows: stored bytes, a mark before DATA, the answer and its effect together.

After a crash: no mark, then nothing left this machine and the message is built again; a mark, then the outcome is in doubt, and
the settings say what becomes of it: looked up where mail arrives, sent again, or left to an operator.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeGuard, assert_never

from sqlmodel import Session

from workers.runtime import Runtime
from workflow.database import transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.tables import Delivery
from workflow.domain.delivery import MARKED, Channel, DeliveryState, Settled
from workflow.domain.roles import system
from workflow.mail.archives import find_in_archive
from workflow.mail.encryption import NothingToSignWith, encrypt_for, sign_only
from workflow.mail.messages import Letter, Mailbox, OuterHeaders, message_id_for
from workflow.mail.openpgp import encrypt_to_key
from workflow.mail.outcomes import Accepted, Failure, TransportError
from workflow.services import delivery as services
from workflow.services.delivery import Built
from workflow.services.parcels import Addressee
from workflow.settings import InDoubt, WorkerSettings
from workflow.times import utc_now, wall_now

log = logging.getLogger("workers.mailing")

MAILER = system("mail worker")


OnAccepted = Callable[[Session, Delivery, datetime], None]


def in_clear(here: Runtime, job: ClaimedJob, to: Addressee, letter: Letter, kind: str) -> Built:
    """A letter that holds no license, signed by the desk. Raises UnsafeHeader for an address no mail can have."""
    headers = _headers(here, job, to)
    mime = sign_only(letter, here.signer, headers=headers)
    return Built(to=to, kind=kind, subject=letter.subject, message_id=headers.message_id, mime=mime)


def encrypted(here: Runtime, job: ClaimedJob, to: Addressee, letter: Letter, kind: str) -> Built:
    """A letter encrypted to the addressee's certificate or OpenPGP key. There is no way from here to plain mail.

    Raises NothingToSignWith: what nobody signed would be thrown away by a careful reader.
    """
    assert to.encrypts_to is not None, "only an addressee with a certificate or a key gets a license"
    headers = _headers(here, job, to)
    match to.channel:
        case Channel.SMIME:
            if here.signer is None:
                raise NothingToSignWith("Set LICDESK_MAIL_SIGNER_CERTIFICATE and LICDESK_MAIL_SIGNER_KEY.")
            mime = encrypt_for(letter, to.encrypts_to, here.signer, headers=headers)
        case Channel.OPENPGP:
            if here.openpgp is None:
                raise NothingToSignWith("Set LICDESK_MAIL_OPENPGP_KEY, or take the OpenPGP key off this recipient.")
            mime = encrypt_to_key(letter, to.encrypts_to, here.openpgp, headers=headers)
        case Channel.PORTAL | Channel.SIGNED:
            raise AssertionError("a channel that is not encrypted")
        case _:
            assert_never(to.channel)
    return Built(to=to, kind=kind, subject=letter.subject, message_id=headers.message_id, mime=mime)


def send(
    here: Runtime,
    job: ClaimedJob,
    stored: Delivery | None,
    build: Callable[[], Built],
    on_accepted: OnAccepted | None = None,
) -> None:
    """Sends the job's message and records the outcome; finishes, puts off or buries the job.

    `stored` is the message of an earlier attempt, as `deliveries.find_by_job` found it after the claim.
    """
    doubt = _doubt(here.settings, stored) if stored is not None and stored.state == DeliveryState.SENDING else None
    if doubt is not None and stored is not None and not _settle(here, job, stored, doubt, on_accepted):
        return
    built = _as_stored(stored) if is_marked(stored) else build()
    marked: list[Delivery] = []

    def mark() -> None:
        with transaction(here.engine) as session:
            # The fence, and a whole lease for the answer: a slow server must not make two workers own the message.
            jobs.extend(session, job, wall_now() + here.claimant.lease)
            marked.append(services.mark_sending(session, job, stored, built, utc_now(), wall_now()))

    try:
        accepted = here.transport.send(
            here.tags.return_path(job.id) if here.tags else here.settings.mail_sender,
            built.to.address,
            built.mime,
            envelope_id=here.tags.tag(job.id) if here.tags else None,
            before_data=mark,
        )
    except TransportError as error:
        _record_failure(here, job, marked[-1] if marked else stored, built, error)
        return
    _record_accepted(here, job, marked[-1], accepted, Settled.RESENT if doubt is InDoubt.RESEND else None, on_accepted)


def resume(here: Runtime, job: ClaimedJob, stored: Delivery) -> None:
    """Goes on with a message that was marked: what became of it has to be known, whether or not it would be written today."""
    send(here, job, stored, lambda: _as_stored(stored))


def is_marked(stored: Delivery | None) -> TypeGuard[Delivery]:
    """Whether the bytes of this message may have left."""
    return stored is not None and stored.state in MARKED


def _doubt(settings: WorkerSettings, stored: Delivery) -> InDoubt:
    """What the settings want done about a message of this kind."""
    chosen = settings.licenses_in_doubt if stored.kind == services.LICENSE_DELIVERY else settings.letters_in_doubt
    return chosen or (InDoubt.VERIFY if settings.mail_archive else InDoubt.HOLD)


def _settle(here: Runtime, job: ClaimedJob, stored: Delivery, doubt: InDoubt, on_accepted: OnAccepted | None) -> bool:
    """Whether a marked message is to be sent again: not when it is found where mail arrives, nor when an operator decides."""
    match doubt:
        case InDoubt.HOLD:
            reason = "The worker stopped while the mail server had the message. Retry sends the same bytes again."
            with transaction(here.engine) as session:
                services.record_in_doubt(session, MAILER, job, reason, utc_now())
                jobs.bury(session, job, wall_now(), reason)
            return False
        case InDoubt.VERIFY:
            assert here.settings.mail_archive is not None, "the settings were checked when they were read"
            since = (stored.data_started_at or wall_now()) - timedelta(minutes=1)
            if find_in_archive(here.settings.mail_archive, stored.message_id, since, here.settings.mail_archive_password):
                found = Accepted(250, "found in the mail archive")
                _record_accepted(here, job, stored, found, Settled.FOUND, on_accepted)
                return False
            log.info("message %s did not arrive, its bytes are sent again", stored.message_id)
        case InDoubt.RESEND:
            log.warning("nobody knows whether message %s arrived, its bytes are sent again", stored.message_id)
        case _:
            assert_never(doubt)
    return True


def _record_accepted(
    here: Runtime,
    job: ClaimedJob,
    delivery: Delivery,
    accepted: Accepted,
    settled: Settled | None,
    on_accepted: OnAccepted | None,
) -> None:
    with transaction(here.engine) as session:
        now = utc_now()
        jobs.finish(session, job, wall_now())
        services.record_accepted(
            session, MAILER, here.desk.policy, delivery, code=accepted.code, reply=accepted.reply, resolved_by=settled, now=now
        )
        if on_accepted is not None:
            on_accepted(session, delivery, now)
    log.info("message %s accepted: %s %s", delivery.message_id, accepted.code, accepted.reply)


def _record_failure(here: Runtime, job: ClaimedJob, stored: Delivery | None, built: Built, error: TransportError) -> None:
    with transaction(here.engine) as session:
        now = utc_now()
        answer: dict[str, Any] = {"code": error.code, "reply": error.reply, "now": now}
        match error.failure:
            case Failure.OUTCOME_UNKNOWN:  # stays marked: the next attempt looks it up before it sends
                jobs.put_off(session, job, wall_now(), f"no answer after the message was handed over: {error}")
                if stored is not None:
                    services.note_unanswered(session, stored, error.reply, now)
            case Failure.PERMANENT:
                services.record_refused(session, MAILER, job, stored, built, **answer)
                jobs.bury(session, job, wall_now(), str(error))
            case Failure.TEMPORARY | Failure.MAILBOX_FULL | Failure.CONFIGURATION:
                if jobs.put_off(session, job, wall_now(), str(error)):
                    services.note_not_sent(session, job, stored, built, **answer)
                else:
                    services.record_refused(session, MAILER, job, stored, built, **answer)


def _headers(here: Runtime, job: ClaimedJob, to: Addressee) -> OuterHeaders:
    sender = Mailbox(here.settings.mail_sender, here.desk.defaults.contact_name)
    return OuterHeaders(
        sender=sender,
        recipient=Mailbox(to.address, to.name),
        message_id=message_id_for(job.dedupe_key, sender.domain),
        date=wall_now(),
    )


def _as_stored(stored: Delivery) -> Built:
    assert stored.mime is not None, "a marked message has its bytes"
    return Built(
        to=Addressee(
            stored.name, stored.address, Channel(stored.channel), fingerprint=stored.fingerprint, recipient=stored.recipient
        ),
        kind=stored.kind,
        subject=stored.subject,
        message_id=stored.message_id,
        mime=stored.mime,
        application=stored.application,
        issued=stored.license,
        round=stored.round,
    )
