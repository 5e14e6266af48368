"""What approvers read when nobody decides: other words than the first time, and why it is them who read it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from tests import people
from tests.builders import NOW, Office
from tests.domain.policy.written import PROD, policy
from tests.servers import SmtpCatcher
from tests.workers.post_room import DESK_URL, PostRoom, text_of
from workflow.db.tables import Person
from workflow.domain.approvals import Choice
from workflow.domain.events import LetterKind
from workflow.services import escalations

DAY = timedelta(days=1)
SECURITY, LEAD = "security@serviceme.example", "lead@serviceme.example"
ZONE = "Asia/Shanghai"
"""Submitted on Monday 2 November at 17:00 there, due on Wednesday at 17:00."""


@pytest.fixture
def strict(engine: Engine, smtp: SmtpCatcher) -> Iterator[PostRoom]:
    """PROD asks for an approver and security, reminds after a day, and asks the leads after three."""
    office = Office.opened(engine)
    made = PostRoom.of(replace(office, desk=replace(office.desk, policy=policy(PROD))), smtp)
    with office.work() as session:
        for person in session.exec(select(Person)):
            person.time_zone = ZONE
    yield made
    made.close()


def scan(room: PostRoom, now: datetime) -> None:
    looked_at = 1
    while looked_at:
        with room.office.work() as session:
            looked_at = escalations.take_due(session, room.here.desk, now, 1)


def last_to(room: PostRoom, address: str, kind: LetterKind) -> EmailMessage:
    """Sends what is owed of this kind, and opens what came last."""
    room.send_letters(lambda job: job.detail == kind)
    return room.received(address)[-1]


def html_of(message: EmailMessage) -> str:
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def test_a_reminder_says_since_when_it_waits_until_when_and_who_has_not_answered(
    strict: PostRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = strict.office.submitted()
    strict.office.vote(number)
    scan(strict, NOW + 2 * DAY)
    monkeypatch.setattr("workers.letters.utc_now", lambda: NOW + 2 * DAY)
    letter = last_to(strict, SECURITY, LetterKind.APPROVAL_REMINDER)
    assert letter["Subject"].startswith(f"Overdue: {number} waits for your decision since 2 Nov 2026, new license for Harbour")
    said = text_of(letter)
    for words in (
        f"Waits since: 2 Nov 2026, 17:00 ({ZONE})",
        f"Response was due: 4 Nov 2026, 17:00 ({ZONE})",
        "Approved by: Daniel Osei",
        "Still missing: 1 of security",
        f"because you may decide on {number}: the response was due 4 Nov 2026, 17:00 ({ZONE}), and nobody of security has",
        f"{DESK_URL}/approvals/{number}",
    ):
        assert words in said
    assert f'href="{DESK_URL}/approvals/{number}"' in html_of(letter)


def test_before_the_response_is_due_a_reminder_does_not_say_overdue(strict: PostRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    number = strict.office.submitted()
    scan(strict, NOW + DAY)
    monkeypatch.setattr("workers.letters.utc_now", lambda: NOW + DAY)
    letter = last_to(strict, SECURITY, LetterKind.APPROVAL_REMINDER)
    assert letter["Subject"].startswith(f"Reminder: {number} waits")
    assert "the response is due 4 Nov 2026, 17:00 (Asia/Shanghai), and nobody of approvers and security" in text_of(letter)


def test_whoever_is_asked_besides_reads_why(strict: PostRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    number = strict.office.submitted()
    strict.office.vote(number)
    scan(strict, NOW + 3 * DAY)
    monkeypatch.setattr("workers.letters.utc_now", lambda: NOW + 3 * DAY)
    letter = last_to(strict, LEAD, LetterKind.APPROVAL_ESCALATED)
    assert letter["Subject"].startswith(f"Escalated to leads: {number} waits since 2 Nov 2026")
    said = text_of(letter)
    for words in (
        "One person of leads has to approve it now as well",
        "Still missing: 1 of leads, 1 of security",
        "Nobody decided within 3 business days: one of leads as well.",
        f"because the response was due 4 Nov 2026, 17:00 ({ZONE}), and nobody of security has answered, so the group leads",
        f"{DESK_URL}/approvals/{number}",
    ):
        assert words in said
    assert strict.received(SECURITY) == [], "who was asked before is not told that somebody else is"


@pytest.mark.parametrize("settled", ["it was sent back", "it was revised", "the reader decided"])
def test_nobody_is_reminded_of_what_is_settled_by_then(strict: PostRoom, settled: str) -> None:
    office, number = strict.office, strict.office.submitted()
    scan(strict, NOW + DAY)
    match settled:
        case "it was sent back":
            office.vote(number, Choice.REQUEST_CHANGES)
        case "it was revised":
            office.submit(number)
        case _:
            office.vote(number, actor=people.SECURITY)
    strict.send_letters(lambda job: job.detail == LetterKind.APPROVAL_REMINDER)
    assert strict.received(SECURITY) == []
    reasons = [row.last_error for row in strict.jobs() if row.detail == LetterKind.APPROVAL_REMINDER and row.last_error]
    assert {
        "it was sent back": "the application is changes_requested, revision 1",
        "it was revised": "the application is submitted, revision 2",
        "the reader decided": "Aisha Rahman has decided",
    }[settled] in reasons


def test_an_approver_who_chose_chinese_is_written_to_in_chinese(strict: PostRoom) -> None:
    with strict.office.work() as session:
        for person in session.exec(select(Person).where(Person.email == SECURITY)):
            person.language = "zh"
    number = strict.office.submitted()
    letter = last_to(strict, SECURITY, LetterKind.APPROVAL_REQUESTED)
    assert letter["Subject"].startswith(f"待您决定：{number}，")
    assert "提交了一份申请，等待您的决定。" in text_of(letter)
    assert '<html lang="zh-Hans"' in html_of(letter)
