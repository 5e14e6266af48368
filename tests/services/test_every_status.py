"""Every intention in every status: it does what the table says, or it is refused and nothing moves."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from tests import people
from tests.builders import DESK, MAILER, NOW, Office, answers
from workflow.db.queries import applications
from workflow.db.tables import Application, Delivery, VoteRow
from workflow.domain.application import TRANSITIONS, Action, IllegalMove, Status
from workflow.domain.approvals import Choice
from workflow.domain.delivery import Channel
from workflow.license_file import ReceiptEvent
from workflow.services import applications as applying
from workflow.services import decisions, delivery, issuing, receipts, reminders
from workflow.services.evidence import evidence_of

Act = Callable[[Session, Application], Any]
ILLEGAL = "refused"


class _Undo(Exception):
    """Takes back what was tried."""


def outcomes(office: Office, number: str, act: Act) -> dict[Status, str]:
    """What the act leads to from each status, which is set by hand and undone each time."""
    found: dict[Status, str] = {}
    for status in Status:
        with suppress(_Undo), office.work() as session:
            session.execute(update(Application).where(col(Application.number) == number).values(status=status.value))
            application = applications.get_application(session, number)
            try:
                act(session, application)
            except IllegalMove:
                found[status] = ILLEGAL
            else:
                session.flush()
                session.refresh(application)
                found[status] = application.status
            raise _Undo
    return found


def by_the_table(*actions: Action, otherwise: str | None = ILLEGAL) -> dict[Status, str]:
    """Where one of these actions leads; None as `otherwise` means that the status stays."""
    return {
        status: next(
            (TRANSITIONS[status, action].value for action in actions if (status, action) in TRANSITIONS),
            status.value if otherwise is None else otherwise,
        )
        for status in Status
    }


def vote(choice: Choice, session: Session, application: Application) -> None:
    decisions.vote(
        session,
        people.LEAD,
        DESK,
        application,
        choice,
        comment="Because.",
        seen_revision=application.revision,
        seen_version=application.version,
        now=NOW,
    )


def test_deciding(office: Office) -> None:
    number = office.submitted()
    assert outcomes(office, number, partial(vote, Choice.APPROVE)) == by_the_table(Action.APPROVE)
    assert outcomes(office, number, partial(vote, Choice.REJECT)) == by_the_table(Action.REJECT)
    assert outcomes(office, number, partial(vote, Choice.REQUEST_CHANGES)) == by_the_table(Action.REQUEST_CHANGES)


def test_taking_back(office: Office) -> None:
    number = office.approved()

    def rescind(session: Session, application: Application) -> None:
        decisions.rescind(session, people.APPROVER, application, application.version, "Wrong tenant.", NOW)

    def withdraw(session: Session, application: Application) -> None:
        applying.withdraw(session, people.LIAISON, application, application.version, "", NOW)

    assert outcomes(office, number, rescind) == by_the_table(Action.RESCIND)
    assert outcomes(office, number, withdraw) == by_the_table(Action.WITHDRAW)


def test_writing_and_handing_in(office: Office) -> None:
    number = office.submitted()

    def save(session: Session, application: Application) -> None:
        applying.save_draft(session, people.LIAISON, answers(), NOW, application=application)

    def submit(session: Session, application: Application) -> None:
        applying.submit(session, people.LIAISON, office.desk, application, application.version, NOW)

    assert outcomes(office, number, save) == by_the_table(Action.SAVE) | {Status.SUBMITTED: "submitted"}
    assert outcomes(office, number, submit) == by_the_table(Action.SUBMIT, Action.REVISE)


def test_signing(office: Office) -> None:
    number = office.approved()

    def claims(session: Session, application: Application) -> None:
        issuing.claims_to_sign(evidence_of(session, office.desk.policy, [application])[0], office.desk, NOW)

    expected = {status: "approved" if status is Status.APPROVED else ILLEGAL for status in Status}
    assert outcomes(office, number, claims) == expected


def test_what_comes_from_outside_is_never_refused_and_moves_only_what_the_table_lets_it(office: Office) -> None:
    number = office.issued()
    office.confirm()
    raw = office.receipt(number, ReceiptEvent.ACTIVATED)
    job = office.claim(office.delivery_job(number))
    built = office.message(number, job)
    with office.work() as session:
        delivery.mark_sending(session, job, None, built, NOW, NOW)

    def accepted(session: Session, application: Application) -> None:
        row = session.exec(select(Delivery)).one()
        delivery.record_accepted(session, MAILER, office.desk.policy, row, code=250, reply="ok", resolved_by=None, now=NOW)

    def downloaded(session: Session, application: Application) -> None:
        delivery.record_download(session, people.ADMINISTRATOR, office.desk.policy, application, Channel.PORTAL, NOW)

    def activated(session: Session, application: Application) -> None:
        receipts.record_receipt(session, raw, NOW)

    def ended(session: Session, application: Application) -> None:
        reminders.queue_due(session, office.desk, NOW + timedelta(days=500))

    assert outcomes(office, number, accepted) == by_the_table(Action.DELIVER, otherwise=None)
    assert outcomes(office, number, downloaded) == by_the_table(Action.DELIVER, otherwise=None)
    assert outcomes(office, number, activated) == by_the_table(Action.ACTIVATE, otherwise=None)
    assert outcomes(office, number, ended) == by_the_table(Action.EXPIRE, otherwise=None)


def test_trying_leaves_no_trace(office: Office) -> None:
    number = office.submitted()
    outcomes(office, number, partial(vote, Choice.APPROVE))
    assert office.status(number) == "submitted"
    assert office.said(number)[-1] == "application.submitted"
    with office.work() as session:
        assert session.exec(select(VoteRow)).all() == []
