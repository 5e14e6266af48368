"""A mail server that does everything wrong: each recipient ends in a true state, no mail arrives twice, and none is lost."""

import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlmodel import select

from tests.mail.hostile import HostileServer, Mailbox, Meeting, hostile_server
from tests.mail.servers import server_certificate
from tests.mail.test_certificates import certificate_with
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.tables import Delivery, JobRow, Tenant
from workflow.domain.delivery import Channel, DeliveryState
from workflow.domain.events import Job
from workflow.mail.transport import MailTransport
from workflow.services import recipients
from workflow.times import wall_now
from workflow.web.desk.shown.delivery import shown_delivery

# What a page says once all has been tried often enough, for each mailbox; the others have the mail.
REFUSED = {Mailbox.REFUSES: "Refused", Mailbox.REFUSES_CONTENT: "Refused", Mailbox.FULL: "Refused, will try again"}
FOUND = {Mailbox.TAKES_AND_CUTS, Mailbox.TAKES_IN_SILENCE, Mailbox.TAKES_AND_BABBLES}
"""what was stored without an answer: it is looked up, and not sent again. What was in doubt and is not found there is sent
again, the same bytes; it has arrived once then."""


@pytest.fixture
def hostile(company: Company, tmp_path: Path) -> Iterator[HostileServer]:
    """The company's mail server, from now on. Mail in doubt can be looked up where it stores what it took."""
    archive = Path(str(company.here.settings.mail_archive).removeprefix("maildir:"))
    certificate, key = server_certificate(tmp_path)
    with hostile_server(archive, certificate, key) as server:
        settings = replace(
            company.here.settings, smtp_host="localhost", smtp_port=server.port, smtp_tls="starttls", mail_timeout=3
        )
        transport = MailTransport(settings, tls=ssl.create_default_context(cafile=str(certificate)))
        company.here.transport.close()
        company.here = replace(company.here, settings=settings, transport=transport)
        yield server
        transport.close()  # while there is somebody to say goodbye to


def address_of(mailbox: Mailbox) -> str:
    return f"{mailbox}@hostile.example"


def issued_for(company: Company, *mailboxes: Mailbox) -> None:
    """A license for these mailboxes, each with a certificate of its own."""
    key = rsa.generate_private_key(65537, 2048)
    with transaction(company.engine) as session:
        for each in mailboxes:
            made = recipients.add_recipient(
                session,
                company.liaison,
                session.exec(select(Tenant)).one(),
                name=f"Reader {each}",
                address=address_of(each),
                key=certificate_with(key, address=address_of(each)),
                trust=company.here.desk.mail_trust,
                now=wall_now(),
                wall=wall_now(),
            )
            session.flush()  # it is looked up
            recipients.confirm_key(session, company.operator, made.id, str(made.fingerprint), wall_now())
    number = company.apply(recipients=[address_of(each) for each in mailboxes])
    company.approve(number)
    company.run(Job.SIGN)


def deliver(company: Company, times: int) -> None:
    """So many rounds of tries, however long the worker would have waited in between."""
    for _ in range(times):
        with transaction(company.engine) as session:
            for row in session.exec(select(JobRow).where(JobRow.kind == Job.DELIVER.value, JobRow.state == "pending")):
                row.next_at = wall_now() - timedelta(seconds=1)
        company.run(Job.DELIVER)


def shown(company: Company) -> dict[str, tuple[Delivery, str]]:
    """What is on record for each address, and what the page says of it."""
    with transaction(company.engine) as session:
        chosen = select(Delivery, JobRow).where(Delivery.job == JobRow.id, Delivery.kind == "license_delivery")
        return {row.address: (row, shown_delivery(row, job, "UTC").badge.text) for row, job in session.exec(chosen)}


def arrived(server: HostileServer) -> Counter[tuple[str, str]]:
    """How often the server stored which message, by recipient and Message-ID."""
    return Counter((to, message_from_bytes(raw)["Message-ID"]) for to, raw in server.taken)


def test_the_whole_list_leaves_every_recipient_in_a_true_state(company: Company, hostile: HostileServer) -> None:
    issued_for(company, *Mailbox)
    deliver(company, 3)
    found = shown(company)
    assert set(found) == {address_of(each) for each in Mailbox}
    for mailbox in Mailbox:
        row, said = found[address_of(mailbox)]
        assert row.channel == Channel.SMIME
        assert said == REFUSED.get(mailbox, "Accepted by mail server"), mailbox
        assert (row.state == DeliveryState.ACCEPTED) == (mailbox not in REFUSED)
        assert row.resolved_by == ("archive" if mailbox in FOUND else None)
    expected = {(address_of(each), found[address_of(each)][0].message_id) for each in Mailbox if each not in REFUSED}
    assert arrived(hostile) == Counter(expected)
    assert hostile.in_clear == []
    deliver(company, 2)  # nothing that ended begins again
    assert arrived(hostile) == Counter(expected)


@pytest.mark.parametrize("meeting", [each for each in Meeting if each not in (Meeting.GOOD, Meeting.LIES)])
def test_a_connection_that_begins_badly_sends_nothing_and_is_tried_again(
    company: Company, hostile: HostileServer, meeting: Meeting
) -> None:
    issued_for(company, Mailbox.GOOD)
    hostile.meetings = [meeting]
    deliver(company, 1)
    assert hostile.taken == []
    assert hostile.in_clear == []
    ((row, said),) = shown(company).values()
    assert (row.state, said) == (DeliveryState.PREPARED, "Refused, will try again")
    assert row.smtp_reply
    deliver(company, 1)
    ((row, said),) = shown(company).values()
    assert said == "Accepted by mail server"
    assert arrived(hostile) == Counter([(row.address, row.message_id)])


def test_a_server_that_lies_about_what_it_can_gets_the_mail_all_the_same(company: Company, hostile: HostileServer) -> None:
    issued_for(company, Mailbox.GOOD)
    hostile.meetings = [Meeting.LIES]
    deliver(company, 2)
    ((row, said),) = shown(company).values()
    assert said == "Accepted by mail server"
    assert arrived(hostile) == Counter([(row.address, row.message_id)])
