"""After the signature: what the application's page says about each recipient, downloads, and the portal."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from fastapi import FastAPI
from httpx import Response
from sqlmodel import select

from tests.servers import SmtpCatcher
from tests.web.desk import ORIGIN, PASSWORD, Browser
from tests.web.reporting import confirm, issue, receipt_for
from tests.workers.company import WITH_CERTIFICATE, WITHOUT_CERTIFICATE, Company
from workflow.database import transaction
from workflow.db.queries import customers as customer_queries
from workflow.db.queries import licenses
from workflow.db.tables import EventRow, IssuedLicense, PortalCode, PortalLink
from workflow.domain.application import Status
from workflow.domain.events import Job
from workflow.domain.policy import DeliveryRule
from workflow.domain.roles import Role, system
from workflow.domain.terms import EnvironmentName
from workflow.license_file import verify_license
from workflow.services import accounts, customers
from workflow.times import wall_now

Open = Callable[[str], Browser]


@pytest.fixture
def delivered(company: Company) -> str:
    """An application whose file went to one recipient by mail and to one as a link."""
    number = company.apply(recipients=[WITH_CERTIFICATE, WITHOUT_CERTIFICATE])
    company.approve(number)
    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    return number


def events(company: Company) -> int:
    with transaction(company.engine) as session:
        return len(session.exec(select(EventRow)).all())


def forged(browser: Browser, address: str, /, **fields: str) -> Response:
    """The answer to a form that no page offers this person."""
    browser.open("/profile")
    fields["csrf"] = dict(browser.form("/sign-out"))["csrf"]
    return browser.client.post(address, data=fields, headers={"Origin": ORIGIN})


def portal_address(smtp: SmtpCatcher) -> str:
    """The link in the mail of the recipient without a certificate."""
    for message in smtp.messages:
        for part in message.walk():
            if part.get_content_type() == "text/plain":
                found = re.search(r"/d/[A-Za-z0-9_-]{40,}", part.get_content())
                if found:
                    return found.group()
    raise AssertionError("no mail with a portal link")


def test_the_page_says_who_has_the_file_and_how(browser: Open, delivered: str) -> None:
    liaison = browser("liaison")
    liaison.open(f"/applications/{delivered}")
    for words in (
        "Delivered",
        "To 2 of 2 recipients",
        "Accepted by mail server",
        "Link accepted by mail server",
        "Signed automatically",
        "Waiting for upload",
        f"Encrypted mail to {WITH_CERTIFICATE} accepted by the mail server",
    ):
        assert words in liaison.words, words
    assert "received" not in liaison.words.lower()


def test_a_refused_message_is_on_top_of_the_page_with_the_servers_words(
    browser: Open, company: Company, smtp: SmtpCatcher
) -> None:
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    smtp.refuse["RCPT"] = "550 5.1.1 no such user here"
    company.run(Job.DELIVER)
    liaison = browser("liaison")
    liaison.open(f"/applications/{number}")
    assert "Zhang Wei has not received the file" in liaison.words
    assert "no such user here" in liaison.words
    assert "Nobody has the file yet." in liaison.words
    smtp.refuse.clear()
    action = re.search(r'action="(/applications/[^"]+/resend)"', liaison.page.text)
    assert action
    liaison.send(action.group(1))
    assert f"The file is on its way to {WITH_CERTIFICATE} again." in liaison.words
    company.run(Job.DELIVER)
    liaison.open(f"/applications/{number}")
    assert "has not received the file" not in liaison.words
    assert company.application(number).status == Status.DELIVERED


def test_a_download_gives_the_signed_bytes_and_is_recorded(browser: Open, company: Company, delivered: str) -> None:
    liaison = browser("liaison")
    liaison.open(f"/applications/{delivered}")
    answer = liaison.send(f"/applications/{delivered}/file")
    assert re.search(r'filename="PROD-[0-9A-Z-]+-v1\.lic"', answer.headers["Content-Disposition"])
    with transaction(company.engine) as session:
        stored = session.exec(select(IssuedLicense)).one()
        assert answer.content == stored.envelope
    liaison.open(f"/applications/{delivered}")
    assert "File downloaded by Lin Mei, from this desk" in liaison.words


def test_auditors_and_approvers_read_but_do_not_take_the_file(browser: Open, company: Company, delivered: str) -> None:
    with transaction(company.engine) as session:
        license_id = session.exec(select(IssuedLicense.license_id)).one()
    for who in ("auditor", "approver"):
        other = browser(who)
        other.open(f"/applications/{delivered}")
        assert f"/applications/{delivered}/file" not in other.page.text
        for address in (f"/applications/{delivered}/file", f"/licenses/{license_id}/versions/1/file"):
            assert forged(other, address).status_code == 403, (who, address)


def test_nobody_but_those_who_act_on_it_acknowledges_a_reminder(browser: Open, company: Company, delivered: str) -> None:
    with transaction(company.engine) as session:
        license_id = session.exec(select(IssuedLicense.license_id)).one()
    about = {"version": "1", "days_ahead": "7", "recipient": WITH_CERTIFICATE}
    for who in ("auditor", "approver"):
        assert forged(browser(who), f"/licenses/{license_id}/reminders", **about).status_code == 403, who


def test_opening_a_portal_link_changes_nothing(app: FastAPI, company: Company, smtp: SmtpCatcher, delivered: str) -> None:
    address = portal_address(smtp)
    before = events(company)
    scanner = Browser.on(app)
    for _ in range(3):
        assert scanner.open(address).status_code == 200
    assert events(company) == before
    assert "PROD" in scanner.words
    assert "Harbourline Logistics Co., Ltd." in scanner.words
    with transaction(company.engine) as session:
        assert session.exec(select(PortalCode)).all() == []


def test_a_code_from_a_second_mail_gets_the_file_in_the_asking_browser_only(
    app: FastAPI, company: Company, smtp: SmtpCatcher, delivered: str
) -> None:
    address = portal_address(smtp)
    recipient, thief = Browser.on(app), Browser.on(app)
    recipient.open(address)
    recipient.send(f"{address}/code")
    assert "A code is on its way" in recipient.words
    with transaction(company.engine) as session:
        code = session.exec(select(PortalCode)).one().code
    assert code
    thief.open(address)
    assert thief.send(f"{address}/file", code=code).status_code == 422
    wrong = recipient.send(f"{address}/file", code="WRONGONE")
    assert wrong.status_code == 422
    assert "This code is not right." in recipient.words
    answer = recipient.send(f"{address}/file", code=code.lower())
    assert answer.status_code == 200
    with transaction(company.engine) as session:
        assert answer.content == session.exec(select(IssuedLicense)).one().envelope
        assert session.exec(select(PortalLink)).one().downloaded_at is not None


def test_without_a_code_and_without_a_session_there_is_no_file(app: FastAPI, smtp: SmtpCatcher, delivered: str) -> None:
    address = portal_address(smtp)
    visitor = Browser.on(app)
    visitor.open(address)
    answer = visitor.send(f"{address}/file", code="")
    assert answer.status_code == 422
    assert "This code is not right." in visitor.words


def test_a_link_that_is_not_known_is_a_page_that_tells_nothing(app: FastAPI) -> None:
    stranger = Browser.on(app)
    answer = stranger.open("/d/" + "x" * 43)
    assert answer.status_code == 404
    assert "This link has ended or is not complete." in stranger.words


def test_an_administrator_of_the_customer_needs_no_code_and_one_of_another_gets_nothing(
    app: FastAPI, browser: Open, company: Company, smtp: SmtpCatcher, delivered: str
) -> None:
    address = portal_address(smtp)
    with transaction(company.engine) as session:
        other = customers.add_tenant(
            session, company.liaison, tenant_id="T-2", company="Other", time_zone="UTC", now=wall_now()
        )
        person = accounts.add_person(
            session,
            system("set-up"),
            email="elsewhere@other.example",
            name="Elsewhere",
            roles=[Role.ADMINISTRATOR],
            password=PASSWORD,
            now=wall_now(),
            tenant=other.id,
        )
        assert person.tenant != customer_queries.get_tenant(session, "T-20817").id
    elsewhere = Browser.on(app)
    elsewhere.sign_in("elsewhere@other.example")
    elsewhere.open(address)
    assert "As an administrator" in elsewhere.words
    assert elsewhere.send(f"{address}/file", code="").status_code in (403, 422)
    own = browser("administrator")
    own.open(address)
    assert own.send(f"{address}/file").content[:1] == b"{"


def test_an_administrator_finds_the_file_on_the_home_page_and_taking_it_is_a_delivery(browser: Open, company: Company) -> None:
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    administrator = browser("administrator")
    administrator.open("/")
    action = re.search(r'action="(/licenses/[^"]+/file)"', administrator.page.text)
    assert action
    taken = administrator.send(action.group(1))
    assert verify_license(taken.content, company.room.chain().current, None, wall_now()).claims.version == 1
    assert company.application(number).status == Status.DELIVERED
    assert administrator.open(f"/applications/{number}").status_code == 403
    license_page = action.group(1).split("/versions")[0]
    assert administrator.open(license_page).status_code == 200


def test_a_receipt_that_came_as_a_file_is_taken_on_the_page_of_its_license(company: Company, browser: Open) -> None:
    number = issue(company)
    raw = receipt_for(company, number)
    with transaction(company.engine) as session:
        address = f"/licenses/{licenses.get_of_application(session, company.application(number).id).license_id}"
    liaison = browser("liaison")
    liaison.open(address)
    for sent, said in (
        (None, "Choose the .lrc file first"),
        (b"hello", "This receipt can't be used"),
        (raw, "It counts once an operator has confirmed the fingerprint"),
    ):
        liaison.send(f"{address}/receipts", {"receipt": ("activated.lrc", sent)} if sent else None)
        assert said in liaison.words
    assert "waits for an operator" in liaison.words
    assert company.application(number).status == "delivered"
    confirm(company)
    liaison.send(f"{address}/receipts", {"receipt": ("activated.lrc", raw)})
    assert "The receipt is kept and counts: activated" in liaison.words
    assert f"counted · handed in as a file by {company.liaison.name}" in liaison.words
    assert company.application(number).status == "activated"
    liaison.open(f"/applications/{number}")
    assert liaison.words.count("handed in the receipt (activated) of installation") == 1


def test_where_the_policy_takes_no_code_the_page_says_so_and_asks_to_sign_in(
    app: FastAPI, company: Company, smtp: SmtpCatcher, delivered: str
) -> None:
    house = app.state.house
    demanding = replace(house.desk.policy, delivery=(DeliveryRule(EnvironmentName.PROD, portal_code=False),))
    app.state.house = replace(house, desk=replace(house.desk, policy=demanding))
    visitor = Browser.on(app)
    link = portal_address(smtp)
    visitor.open(link)
    assert "A code by mail is not enough for them." in visitor.words
    assert f"{link}/code" not in visitor.page.text
    for address, fields in ((f"{link}/code", {}), (f"{link}/file", {"code": "ABCDEFGH"})):
        visitor.open("/sign-in")
        token = dict(visitor.form("/sign-in"))["csrf"]
        refused = visitor.client.post(address, data={"csrf": token, **fields}, headers={"Origin": ORIGIN})
        assert refused.status_code == 403
        assert "handed to administrators who have signed in" in refused.text
    with transaction(company.engine) as session:
        assert session.exec(select(PortalCode)).all() == []
