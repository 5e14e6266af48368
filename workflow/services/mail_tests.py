"""Trying the desk's mail: who did, with which address, and what the mail server said; in the history, a few times an hour."""

from datetime import datetime, timedelta

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import throttle
from workflow.domain.events import SystemFact
from workflow.domain.roles import Actor, Permission, require
from workflow.errors import TooMany

PER_HOUR = 6
_KEY, _WINDOW = "mail-test", timedelta(hours=1)


class TooManyTestMails(TooMany):
    """A desk whose mail can be tried without end sends mail for whoever likes to."""

    code = "mail.too_many_tests"


def allow_test(session: Session, actor: Actor, address: str, now: datetime, wall: datetime) -> None:
    """Notes that a test mail is about to be sent. Raises MissingRole, TooManyTestMails."""
    require(actor, Permission.OPERATE)
    if throttle.count(session, _KEY, _WINDOW, wall) > PER_HOUR:
        wait = throttle.seconds_left(session, _KEY, PER_HOUR, wall)
        said = f"{PER_HOUR} test mails an hour are sent. Try again in {wait // 60 + 1} min."
        raise TooManyTestMails(said, retry_after=wait)
    outbox.record(session, SystemFact("mail.test_asked", address), actor, now)


def note_answer(session: Session, actor: Actor, address: str, answer: str, now: datetime) -> None:
    """What the mail server said to the test mail, or why it was not reached."""
    outbox.record(session, SystemFact("mail.test_answered", address, answer[:500]), actor, now)
