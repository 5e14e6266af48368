"""What letters link to: pages that open with GET, for whoever got the letter, and change nothing (mail scanners open links)."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from sqlalchemy import select

from tests.servers import SmtpCatcher
from tests.web.desk import Browser
from tests.workers.company import Company
from workflow.database import reading, transaction
from workflow.db import outbox
from workflow.db.queries import people
from workflow.db.tables import DeskTable
from workflow.domain.digests import SINGLES
from workflow.domain.events import ApprovalEscalated, ApprovalReminded, Job
from workflow.domain.roles import Role, system
from workflow.services import notices, tokens
from workflow.services.history import Finding
from workflow.times import wall_now

SEEN = {"session", "throttle", "heartbeat"}
"""Tables in which a look leaves its trace: when a browser was last seen."""


def everything(company: Company) -> dict[str, list[tuple[object, ...]]]:
    with reading(company.engine) as session:
        return {
            table.name: sorted(map(tuple, session.execute(select(table))), key=repr)
            for table in DeskTable.metadata.sorted_tables
            if table.name not in SEEN
        }


def write_letters(company: Company) -> None:
    """Every letter that is new to somebody who has to act: a reminder, an escalation, digests, notices."""
    now = wall_now()
    number = company.apply()
    application = company.application(number)
    with transaction(company.engine) as session:
        approver = people.people_with(session, Role.APPROVER, now)[:1]
        for fact in (ApprovalReminded(1), ApprovalEscalated(1, "fallback", "approvers")):
            outbox.record(session, fact, system("clock"), now, application=application, approvers=approver)
    company.run(Job.LETTER)
    for _ in range(SINGLES + 1):
        company.apply()
    company.run(Job.LETTER)
    with transaction(company.engine) as session:
        for row in company.jobs(Job.DIGEST):
            session.merge(row).next_at = now
        tokens.make_token(session, company.liaison, "nightly export", 30, scopes=[], now=now, wall=now)
        found = Finding("altered", number, str(application.id), 2, None, f"Event 2 of {number} was altered.")
        notices.keep_findings(session, [found], now)
        notices.tell_operators(session, now)
    company.run(Job.DIGEST)
    company.run(Job.NOTICE)


def test_opening_what_a_letter_links_to_shows_a_page_and_changes_nothing(
    browser: Callable[[str], Browser], company: Company, smtp: SmtpCatcher
) -> None:
    write_letters(company)
    opened: dict[str, set[str]] = {}
    browsers = {who: browser(who) for who in ("liaison", "approver", "operator")}
    before = everything(company)
    for message in smtp.messages:
        who = message["To"].addresses[0].username
        part = message.get_body(("html",))
        assert part is not None
        for link in re.findall(r'href="(https?://[^"]+)"', part.get_content()):
            path = urlsplit(link).path
            opened.setdefault(who, set()).add(re.sub(r"APP-\d+-\d+", "N", path))
            if who in browsers:
                assert browsers[who].open(path).status_code == 200, (who, path)
    assert opened["approver"] == {"/approvals", "/approvals/N"}
    assert opened["liaison"] == {"/forgot", "/profile", "/profile/security"}
    assert opened["operator"] == {"/audit", "/applications/N"}
    assert everything(company) == before
