"""The link for a recipient without a certificate: a code for one browser, few tries, a button that proves the delivery."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from tests import people
from tests.builders import NOW, YU, Office
from workflow.db import jobs
from workflow.db.tables import Delivery, JobRow, PortalCode, PortalLink, Tenant
from workflow.domain.delivery import Channel
from workflow.domain.events import Job
from workflow.domain.policy import DeliveryRule, Policy
from workflow.domain.roles import Actor
from workflow.domain.terms import EnvironmentName
from workflow.license_file import ReceiptEvent
from workflow.services import delivery, portal
from workflow.services.portal import LinkUnknown, NotThisTenant, SignInRequired, TooManyCodes
from workflow.services.secrets import hash_of
from workflow.times import wall_now

TOKEN, BROWSER, OTHER_BROWSER = "the-token-of-the-mail", "browser-1", "browser-2"


class Link:
    """The link in Chen Yu's mail, and what is done with it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.policy: Policy = office.desk.policy
        self.number = office.issued(recipients=[YU])
        self.sent_at = wall_now()
        job = office.claim(office.delivery_job(self.number, YU))
        built = office.message(self.number, job, YU, Channel.PORTAL, portal_token=TOKEN)
        with office.work() as session:
            delivery.mark_sending(session, job, None, built, NOW, self.sent_at)
            jobs.finish(session, job, wall_now())

    def at(self, minutes: float) -> datetime:
        return self.sent_at + timedelta(minutes=minutes)

    def ask(self, minutes: float = 0, browser: str = BROWSER) -> str:
        """Asks for a code; returns the one that the mail will carry."""
        with self.office.work() as session:
            portal.ask_for_code(session, self.policy, TOKEN, browser, now=NOW, wall=self.at(minutes))
        with self.office.work() as session:
            row = session.exec(select(PortalCode).order_by(col(PortalCode.created_at).desc()).limit(1)).one()
        assert row.code is not None
        return row.code

    def check(self, code: str, minutes: float = 1, browser: str = BROWSER) -> bool:
        with self.office.work() as session:
            return portal.check_code(session, self.policy, TOKEN, browser, code, wall=self.at(minutes))

    def download(self, minutes: float = 1, actor: Actor | None = None) -> portal.Opened:
        with self.office.work() as session:
            return portal.download(session, self.policy, TOKEN, actor=actor, now=NOW, wall=self.at(minutes))

    def opens(self, minutes: float = 0, token: str = TOKEN) -> bool:
        with self.office.work() as session:
            try:
                portal.open_link(session, token, self.at(minutes))
            except LinkUnknown:
                return False
            return True

    def tries_left(self, minutes: float = 1) -> int:
        with self.office.work() as session:
            return portal.tries_left(session, TOKEN, self.at(minutes))

    def administrator(self) -> Actor:
        with self.office.work() as session:
            return people.administrator_of(session.exec(select(Tenant)).one().id)


@pytest.fixture
def link(office: Office) -> Link:
    return Link(office)


def a_wrong_code(right: str) -> str:
    return ("1" if right[0] != "1" else "2") + right[1:]


def test_opening_the_link_changes_nothing(link: Link) -> None:
    def everything() -> list[str]:
        with link.office.work() as session:
            return [
                *(row.model_dump_json(exclude={"mime"}) for row in session.exec(select(Delivery))),
                *(row.model_dump_json() for row in session.exec(select(PortalLink))),
                *(str(row.id) for row in session.exec(select(JobRow))),
            ]

    before = (everything(), link.office.said(link.number), link.office.status(link.number))
    assert link.opens()
    assert (everything(), link.office.said(link.number), link.office.status(link.number)) == before


def test_a_link_works_for_three_days(link: Link) -> None:
    assert link.opens(72 * 60 - 1)
    assert not link.opens(72 * 60)


def test_a_guessed_link_and_an_ended_one_answer_alike(link: Link) -> None:
    assert not link.opens(token="guessed")
    with link.office.work() as session:
        with pytest.raises(LinkUnknown) as guessed:
            portal.open_link(session, "guessed", link.at(0))
        with pytest.raises(LinkUnknown) as ended:
            portal.open_link(session, TOKEN, link.at(99_999))
    assert str(guessed.value) == str(ended.value)


def test_asking_sends_the_code_to_the_recipients_mailbox_and_shows_it_nowhere_else(link: Link) -> None:
    code = link.ask()
    assert len(code) == 8
    with link.office.work() as session:
        row = session.exec(select(PortalCode)).one()
        job = session.exec(select(JobRow).where(JobRow.kind == Job.PORTAL_CODE.value)).one()
        assert (job.ref, job.recipient) == (row.id, session.exec(select(PortalLink)).one().recipient)
        assert code not in (row.code_hash, job.dedupe_key, job.detail)
        said = session.execute(text("SELECT payload FROM event WHERE stream = 'system' ORDER BY sequence DESC LIMIT 1"))
        payload = said.scalar_one()
    assert YU in payload
    assert code not in payload


def test_the_right_code_works_once_however_it_is_typed(link: Link) -> None:
    code = link.ask()
    assert link.check(f" {code[:4].lower()}-{code[4:].lower()} ")
    assert not link.check(code), "a code is for one use"


def test_letters_that_look_like_digits_are_read_as_digits(link: Link) -> None:
    code = link.ask()
    assert link.check(code.replace("0", "O").replace("1", "l"))


def test_a_code_is_bound_to_the_browser_that_asked(link: Link) -> None:
    code = link.ask()
    assert not link.check(code, browser=OTHER_BROWSER)
    assert link.check(code)


def test_a_code_ends_after_ten_minutes(link: Link) -> None:
    code = link.ask(0)
    assert not link.check(code, minutes=10)
    assert link.check(link.ask(11), minutes=12)


def test_five_wrong_tries_end_a_code(link: Link) -> None:
    code = link.ask()
    assert link.tries_left() == 5
    for left in (4, 3, 2, 1, 0):
        assert not link.check(a_wrong_code(code))
        assert link.tries_left() == left
    assert not link.check(code)
    assert link.opens(), "the link itself still works: ask for a new code"


def test_tries_in_another_browser_use_up_none_of_yours(link: Link) -> None:
    code = link.ask()
    for _ in range(6):
        link.check(a_wrong_code(code), browser=OTHER_BROWSER)
    assert link.check(code)


def test_fifteen_wrong_codes_close_the_link(link: Link) -> None:
    for round_number in range(3):
        code = link.ask(round_number)
        for _ in range(5):
            assert link.opens()
            assert not link.check(a_wrong_code(code))
    assert not link.opens()
    with link.office.work() as session, pytest.raises(LinkUnknown):
        portal.ask_for_code(session, link.policy, TOKEN, BROWSER, now=NOW, wall=link.at(5))
    with pytest.raises(LinkUnknown):
        link.check(code)


def test_the_try_that_closes_the_link_is_counted_although_the_page_asks_what_is_left(link: Link) -> None:
    """The page checks the code and asks how many tries are left in one transaction, which must not be rolled back."""
    for round_number in range(3):
        code = link.ask(round_number)
        for _ in range(5):
            with link.office.work() as session:
                portal.check_code(session, link.policy, TOKEN, BROWSER, a_wrong_code(code), wall=link.at(5))
                left = portal.tries_left(session, TOKEN, link.at(5))
    assert left == 0
    assert not link.opens()


def test_wrong_codes_tried_all_at_once_are_all_counted(link: Link) -> None:
    """Otherwise whoever tries a thousand in parallel gets a thousand tries."""
    code = link.ask()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: link.check(a_wrong_code(code)), range(4)))
    assert link.tries_left() == 1
    with link.office.work() as session:
        assert session.exec(select(PortalLink)).one().wrong_codes == 4


def test_the_right_code_entered_twice_at_once_works_once(link: Link) -> None:
    code = link.ask()
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: link.check(code), range(4))) == [False, False, False, True]


def test_three_codes_an_hour_are_sent(link: Link) -> None:
    for minutes in (0, 1, 2):
        link.ask(minutes)
    with link.office.work() as session, pytest.raises(TooManyCodes):
        portal.ask_for_code(session, link.policy, TOKEN, BROWSER, now=NOW, wall=link.at(3))
    with link.office.work() as session:
        sent = session.exec(select(JobRow).where(JobRow.kind == Job.PORTAL_CODE.value)).all()
    assert len(sent) == 3
    assert link.ask(60)


def test_a_download_proves_the_delivery(link: Link) -> None:
    assert link.office.status(link.number) == "issued"
    opened = link.download()
    assert opened.issued.envelope == link.office.license_of(link.number).envelope
    assert link.office.status(link.number) == "delivered"
    assert link.office.said(link.number)[-2:] == ["license.downloaded", "license.delivered"]
    downloaded = link.office.history(link.number)[-2]
    assert (downloaded.actor_name, downloaded.channel) == ("Chen Yu", "portal")
    with link.office.work() as session:
        assert session.exec(select(Delivery)).one().downloaded_at == NOW


def test_a_second_download_is_in_the_history_and_delivers_nothing_again(link: Link) -> None:
    link.download()
    link.download()
    said = link.office.said(link.number)
    assert (said.count("license.downloaded"), said.count("license.delivered")) == (2, 1)


def test_an_administrator_of_the_customer_needs_no_code(link: Link) -> None:
    link.download(actor=link.administrator())
    assert link.office.status(link.number) == "delivered"
    assert link.office.history(link.number)[-2].actor_name == "Zhang Wei"


@pytest.mark.parametrize(
    "actor", [each for each in people.EVERYBODY if each is not people.ADMINISTRATOR], ids=lambda each: each.name
)
def test_nobody_else_who_is_signed_in_gets_the_file_here(link: Link, actor: Actor) -> None:
    with pytest.raises(NotThisTenant, match="administrator of Harbourline"):
        link.download(actor=actor)
    assert link.office.status(link.number) == "issued"


def test_an_administrator_of_another_customer_gets_nothing(link: Link) -> None:
    with pytest.raises(NotThisTenant):
        link.download(actor=people.administrator_of(people.id_of(people.STRANGER)))
    with pytest.raises(NotThisTenant):
        link.download(actor=people.ADMINISTRATOR)


def test_a_download_after_the_activation_pulls_nothing_back(link: Link) -> None:
    link.office.confirm()
    link.office.report(link.number)
    link.download()
    assert link.office.status(link.number) == "activated"


def test_the_link_to_a_superseded_license_is_dead(link: Link) -> None:
    second = link.office.renewal_of(link.number)
    link.office.vote(second)
    link.office.sign(second)
    link.office.confirm()
    assert link.opens()
    link.office.report(second, ReceiptEvent.ACTIVATED)
    assert not link.opens()
    with pytest.raises(LinkUnknown):
        link.download()


def test_only_hashes_of_tokens_and_browsers_are_kept(link: Link) -> None:
    link.ask()
    with link.office.work() as session:
        kept = (
            session.exec(select(PortalLink)).one().model_dump_json() + session.exec(select(PortalCode)).one().model_dump_json()
        )
    assert hash_of(TOKEN) in kept
    assert TOKEN not in kept
    assert f'"{BROWSER}"' not in kept


# What a policy may demand


def test_where_the_policy_takes_no_code_only_an_administrator_who_signed_in_gets_the_file(link: Link) -> None:
    code = link.ask()
    link.policy = replace(link.policy, delivery=(DeliveryRule(EnvironmentName.PROD, portal_code=False),))
    for way in (link.ask, lambda: link.check(code), link.download):
        with pytest.raises(SignInRequired, match="PROD are handed to administrators who have signed in"):
            way()
    assert link.office.status(link.number) == "issued"
    assert link.download(actor=link.administrator()).issued.envelope
    assert link.office.status(link.number) == "delivered"


def test_what_the_policy_says_of_one_environment_holds_for_no_other(link: Link) -> None:
    link.policy = replace(link.policy, delivery=(DeliveryRule(EnvironmentName.UAT, portal_code=False),))
    assert link.check(link.ask())


# Ten thousand guesses


def test_ten_thousand_guesses_at_a_link_change_nothing_and_find_nothing(link: Link) -> None:
    with link.office.work() as session:
        before = session.exec(select(PortalLink)).one().model_dump()
        for guess in range(10_000):
            with pytest.raises(LinkUnknown):
                portal.open_link(session, f"{TOKEN[:-5]}{guess:05d}", link.at(1))
    with link.office.work() as session:
        assert session.exec(select(PortalLink)).one().model_dump() == before
    assert link.opens()


def test_ten_thousand_guesses_at_a_code_close_the_link_after_fifteen(link: Link) -> None:
    right = link.ask()
    wrong, closed = 0, 0
    with link.office.work() as session:
        for guess in range(10_000):
            code = f"{guess:08d}"
            assert code != right, "one in a trillion"
            try:
                assert not portal.check_code(session, link.policy, TOKEN, BROWSER, code, wall=link.at(1))
                wrong += 1
            except LinkUnknown:
                closed += 1
    assert (wrong, closed) == (portal.WRONG_CODES_CLOSE, 10_000 - portal.WRONG_CODES_CLOSE)
    assert not link.opens()
    with pytest.raises(LinkUnknown):
        link.check(right)


def test_guesses_from_ten_thousand_browsers_close_the_link_as_well(link: Link) -> None:
    right = link.ask()
    tried = 0
    with link.office.work() as session:
        for browser in range(10_000):
            try:
                portal.check_code(session, link.policy, TOKEN, f"browser-{browser}-of-somebody", right, wall=link.at(1))
                tried += 1
            except LinkUnknown:
                break
    assert tried == portal.WRONG_CODES_CLOSE
    assert not link.opens()
