"""The people page: operators add, change, disable; nobody else gets near it."""

import re
from collections.abc import Callable

import pytest
from sqlmodel import select

from tests.servers import SmtpCatcher, plain_text
from tests.web.desk import ORIGIN, Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.queries import people
from workflow.db.tables import Person
from workflow.domain.events import Job
from workflow.domain.roles import Role
from workflow.services import sessions
from workflow.times import utc_now, wall_now

Open = Callable[[str], Browser]


def roles_of(company: Company, email: str) -> set[Role]:
    with transaction(company.engine) as session:
        person = session.exec(select(Person).where(Person.email == email)).one()
        return set(people.roles_of(session, person.id, utc_now()))


def address_of(company: Company, who: str) -> str:
    with transaction(company.engine) as session:
        return f"/people/{session.exec(select(Person.id).where(Person.email == f'{who}@serviceme.example')).one()}"


def test_an_operator_adds_somebody_who_then_chooses_a_password(browser: Open, company: Company, smtp: SmtpCatcher) -> None:
    operator = browser("operator")
    operator.open("/people/new")
    assert operator.send("/people/new", name="", email="eva@serviceme.example").status_code == 422
    assert operator.send("/people/new", name="Eva Lund", email="nobody").status_code == 422
    taken = operator.send("/people/new", name="Eva Lund", email="liaison@serviceme.example")
    assert (taken.status_code, 'href="#email"' in taken.text) == (422, True)
    assert operator.send("/people/new", email="eva@serviceme.example", roles=["administrator"]).status_code == 422
    assert 'href="#tenant"' in operator.page.text
    operator.send("/people/new", name="Eva Lund", email="eva@serviceme.example", roles=["liaison"], team="North")
    assert "A mail with a link to choose a password is on its way to eva@serviceme.example." in operator.words
    company.run(Job.ONE_TIME_LINK)
    (message,) = smtp.messages
    text = plain_text(message)
    assert "Omar Reyes made an account for you" in text
    link = re.search(r"/welcome/[\w-]{43}", text)
    assert link
    eva = browser("stranger")
    eva.open(link[0])
    assert "Welcome, Eva Lund" in eva.words
    eva.send(link[0], password="a much better password")
    entry = sessions.sign_in(company.engine, "eva@serviceme.example", "a much better password", now=utc_now(), wall=wall_now())
    assert not entry.waits_for_code
    assert roles_of(company, "eva@serviceme.example") == {Role.LIAISON}


def test_roles_and_team_are_changed_and_nobody_changes_their_own(browser: Open, company: Company) -> None:
    operator = browser("operator")
    lead = address_of(company, "approver2")
    operator.open(lead)
    operator.send(lead, roles=["auditor", "liaison"], team="North")
    assert "Saved." in operator.words
    assert roles_of(company, "approver2@serviceme.example") == {Role.AUDITOR, Role.LIAISON}
    own = address_of(company, "operator")
    operator.open(own)
    refused = operator.send(own, roles=["operator", "approver"])
    assert refused.status_code == 422
    assert "This is your own account." in operator.words
    assert roles_of(company, "operator@serviceme.example") == {Role.OPERATOR}
    assert f'action="{own}/disable"' not in operator.open(own).text


def test_who_is_disabled_is_out_at_once_and_their_work_is_handed_over(browser: Open, company: Company) -> None:
    number = company.apply()
    liaison, operator = browser("liaison"), browser("operator")
    address = address_of(company, "liaison")
    operator.open(address)
    assert number in operator.words
    operator.send(f"{address}/disable")
    assert "Hand over 1 open application below." in operator.words
    assert liaison.open("/").url.path == "/sign-in"
    operator.open("/people")
    assert "Nobody is in charge of these applications" in operator.words
    other = address_of(company, "approver2")
    operator.open(other)
    operator.send(other, roles=["liaison"], team="")
    operator.open(address)
    assert operator.send(f"{address}/hand-over", to="").status_code == 422
    operator.send(f"{address}/hand-over", to=other.removeprefix("/people/"))
    assert "Sofia Marin is in charge now." in operator.words
    operator.open("/people")
    assert "Nobody is in charge" not in operator.words
    operator.open(f"/applications/{number}")
    assert "Handed over from Lin Mei to Sofia Marin by Omar Reyes" in operator.words


@pytest.mark.parametrize("who", ["liaison", "approver", "auditor", "administrator", "stranger"])
def test_nobody_else_sees_or_changes_people(browser: Open, company: Company, who: str) -> None:
    person, target = browser(who), address_of(company, "approver2")
    person.open("/profile")
    token = {"csrf": dict(person.form("/sign-out"))["csrf"]}
    for path in ("/people", "/people/new", target):
        assert person.open(path).status_code == 403
    actions = ("/people/new", target, *(f"{target}/{each}" for each in ("invite", "second-factor/off", "disable", "hand-over")))
    for path in actions:
        assert person.client.post(path, data=token, headers={"Origin": ORIGIN}).status_code == 403, path
    assert roles_of(company, "approver2@serviceme.example") == {Role.APPROVER}
