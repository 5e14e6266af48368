"""The ledger: every message with its attempts, what came back about it, and what is done when it did not arrive."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.mail.reports import report
from tests.servers import SmtpCatcher
from tests.web.desk import Browser
from tests.web.test_desk_delivering import forged
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workflow.database import transaction
from workflow.db import jobs
from workflow.db.tables import Delivery, Recipient
from workflow.domain.bounces import Outcome, Tags
from workflow.domain.events import Job
from workflow.mail.bounces import read
from workflow.services import bounces, recipients
from workflow.times import utc_now, wall_now

Open = Callable[[str], Browser]
TAGS = Tags("bounce@desk.example", bytes(range(32)))


def message(company: Company, address: str = WITH_CERTIFICATE, round_number: int = 1) -> Delivery:
    with transaction(company.engine) as session:
        wanted = (Delivery.kind == "license_delivery", Delivery.address == address, Delivery.round == round_number)
        return session.exec(select(Delivery).where(*wanted)).one()


def issue(company: Company, **changes: object) -> str:
    number = company.apply(**changes)
    company.approve(number)
    company.run(Job.SIGN)
    return number


def comes_back(company: Company, **changes: str) -> Outcome:
    marked = {"envelope_id": TAGS.tag(message(company).job)} | changes
    with transaction(company.engine) as session:
        return bounces.take_in(session, bounces.READER, TAGS, read(report(**marked)), utc_now())


def hurry(company: Company) -> None:
    (job,) = company.jobs(Job.DELIVER)
    with transaction(company.engine) as session:
        jobs.hurry(session, job.id, wall_now())


@pytest.fixture
def bounced(company: Company) -> str:
    number = issue(company)
    company.run(Job.DELIVER)
    assert comes_back(company) is Outcome.BOUNCED
    return number


def test_each_attempt_is_in_the_ledger_with_its_answer_and_the_key_it_was_encrypted_to(
    browser: Open, company: Company, smtp: SmtpCatcher
) -> None:
    issue(company)
    for stage, answer in (("RCPT", "451 4.7.1 greylisted for a while"), ("DATA", "451 4.3.0 no room just now"), ("", "")):
        smtp.refuse.clear()
        if stage:
            smtp.refuse[stage] = answer
        company.run(Job.DELIVER)
        hurry(company)
    liaison = browser("liaison")
    liaison.open("/deliveries?kind=license_delivery")
    liaison.open(re.findall(r'href="(/deliveries/[0-9a-f-]{36})"', liaison.page.text)[0])
    words = liaison.words
    for said in ("451 4.7.1 greylisted for a while", "451 4.3.0 no room just now", "250", "Accepted by mail server"):
        assert said in words, said
    assert words.count("Not taken, tried again later") == 2
    with transaction(company.engine) as session:
        fingerprint = session.exec(select(Recipient.fingerprint).where(Recipient.address == WITH_CERTIFICATE)).one()
    assert f"{str(fingerprint)[:16]}…" in words


def test_a_refused_message_is_refused_in_the_ledger(browser: Open, company: Company, smtp: SmtpCatcher) -> None:
    issue(company)
    smtp.refuse["DATA"] = "554 5.7.1 we take no encrypted mail"
    company.run(Job.DELIVER)
    liaison = browser("liaison")
    liaison.open(f"/deliveries/{message(company).id}")
    assert liaison.words.count("554 5.7.1 we take no encrypted mail") == 1
    assert "Refused" in liaison.words


def test_what_came_back_is_on_the_page_of_the_application_and_in_the_ledger(
    browser: Open, company: Company, bounced: str
) -> None:
    liaison = browser("liaison")
    liaison.open(f"/applications/{bounced}")
    for words in ("Zhang Wei has not received the file", "Came back", "user unknown", "Delivered"):
        assert words in liaison.words, words
    liaison.open(f"/deliveries/{message(company).id}")
    for words in ("Came back", "Not delivered", "Proven by the envelope", "mx.harbourline.example", "5.1.1", "Accepted by"):
        assert words in liaison.words, words
    operator = browser("operator")
    operator.open("/operations")
    assert "Came back" in operator.words


def test_a_claim_without_proof_is_shown_as_one_and_the_message_stays_accepted(browser: Open, company: Company) -> None:
    issue(company)
    company.run(Job.DELIVER)
    assert comes_back(company, envelope_id="", message_id=message(company).message_id) is Outcome.NOTED
    liaison = browser("liaison")
    liaison.open(f"/deliveries/{message(company).id}")
    assert "A claim without proof, changes nothing" in liaison.words
    assert "Accepted by mail server" in liaison.words
    assert "Came back" not in liaison.words


def test_a_hostile_report_is_shown_as_text(browser: Open, company: Company) -> None:
    issue(company)
    company.run(Job.DELIVER)
    comes_back(company, diagnostic="<script>alert(1)</script> 550 5.1.1")
    liaison = browser("liaison")
    for page in (f"/deliveries/{message(company).id}", "/deliveries", "/audit"):
        liaison.open(page)
        assert "<script>alert(1)" not in liaison.page.text
    liaison.open(f"/deliveries/{message(company).id}")
    assert "<script>alert(1)</script> 550 5.1.1" in liaison.words


def test_after_a_bounce_the_same_or_another_recipient_gets_the_file(browser: Open, company: Company, bounced: str) -> None:
    liaison = browser("liaison")
    liaison.open(f"/deliveries/{message(company).id}")
    liaison.send(re.findall(r'action="(/applications/[^"]+/resend)"', liaison.page.text)[0])
    assert f"on its way to {WITH_CERTIFICATE} again" in liaison.words
    with transaction(company.engine) as session:
        another = session.exec(select(Recipient).where(Recipient.address == WITHOUT_CERTIFICATE)).one()
    liaison.open(f"/applications/{bounced}")
    liaison.send(f"/applications/{bounced}/recipients", recipient=str(another.id))
    assert f"on its way to {WITHOUT_CERTIFICATE}" in liaison.words
    company.run(Job.DELIVER)
    assert message(company, round_number=2).state == "accepted"
    assert message(company, WITHOUT_CERTIFICATE).channel == "portal"
    liaison.open(f"/applications/{bounced}")
    assert "has not received the file" not in liaison.words


def test_a_corrected_address_gets_a_round_of_its_own_and_never_the_old_key(
    browser: Open, company: Company, bounced: str
) -> None:
    liaison = browser("liaison")
    liaison.open(f"/deliveries/{message(company).id}")
    action = re.findall(r'action="(/applications/[^"]+/correct)"', liaison.page.text)[0]
    answer = liaison.send(action, address="wei.zhang@harbourline")
    assert answer.status_code == 422
    liaison.open(f"/deliveries/{message(company).id}")
    liaison.send(action, address="Wei.Zhang@harbourline-group.example")
    assert "on its way to" in liaison.words
    company.run(Job.DELIVER)
    with transaction(company.engine) as session:
        corrected = session.exec(select(Recipient).where(Recipient.address.endswith("harbourline-group.example"))).one()
        assert session.exec(select(Delivery).where(Delivery.recipient == corrected.id)).all() == [], "nobody has confirmed it"
        recipients.confirm_change(session, company.operator, corrected.id, corrected.changed_at, wall_now())
    company.run(Job.DELIVER)
    with transaction(company.engine) as session:
        sent = session.exec(select(Delivery).where(Delivery.recipient == corrected.id)).one()
    assert (corrected.name, corrected.key, sent.channel, sent.state) == ("Zhang Wei", None, "portal", "accepted")


def test_who_may_not_deliver_sees_no_button_and_is_refused(browser: Open, company: Company, bounced: str) -> None:
    with transaction(company.engine) as session:
        another = session.exec(select(Recipient).where(Recipient.address == WITHOUT_CERTIFICATE)).one()
    for who in ("approver", "auditor"):
        other = browser(who)
        other.open(f"/deliveries/{message(company).id}")
        assert "/resend" not in other.page.text
        for path, fields in (
            ("", {"recipient": str(another.id)}),
            (f"/{message(company).recipient}/correct", {"address": "a@b.example"}),
        ):
            assert forged(other, f"/applications/{bounced}/recipients{path}", **fields).status_code == 403
    assert len(company.jobs(Job.DELIVER)) == 1


def test_a_message_of_somebody_elses_application_is_not_there(browser: Open, company: Company, bounced: str) -> None:
    other = browser("stranger")
    assert other.open(f"/deliveries/{message(company).id}").status_code in (403, 404)


def test_the_list_is_narrowed_by_customer_channel_result_and_time(browser: Open, company: Company, bounced: str) -> None:
    liaison = browser("liaison")

    def found(query: str) -> list[dict[str, str]]:
        liaison.open(f"/deliveries.csv?{query}")
        return list(csv.DictReader(io.StringIO(liaison.page.text.lstrip("\ufeff"))))

    today = utc_now().date()
    assert [row["State"] for row in found("kind=license_delivery")] == ["bounced"]
    assert found("kind=license_delivery&state=bounced&channel=smime&customer=T-20817")
    assert found("kind=license_delivery&customer=harbourline")
    assert found(f"kind=license_delivery&since={today - timedelta(days=1)}&until={today + timedelta(days=1)}")
    for nothing in (
        "customer=T-99",
        "customer=100%25",
        "channel=portal",
        "state=accepted",
        f"until={today - timedelta(days=2)}",
    ):
        assert found(f"kind=license_delivery&{nothing}") == [], nothing
    assert found("kind=license_delivery&channel=pigeon&state=lost&since=yesterday")  # what cannot be used narrows nothing
    liaison.open("/deliveries?customer=nobody-at-all")
    assert "No message matches" in liaison.words
