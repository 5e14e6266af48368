"""People: added, given roles, disabled."""

from datetime import timedelta

import pytest

from tests import people
from tests.builders import NOW, Office
from workflow.db.tables import Person
from workflow.domain.roles import Actor, MissingRole, Role
from workflow.errors import Invalid
from workflow.services import accounts
from workflow.services.accounts import AddressTaken, PasswordTooShort, ZoneUnknown

ADDRESS = people.STAFF[0].email


def add(office: Office, email: str = "new@serviceme.example", password: str | None = None) -> Person:
    with office.work() as session:
        return accounts.add_person(
            session, people.OPERATOR, email=email, name="New", roles=[Role.AUDITOR], password=password, now=NOW
        )


def test_a_new_person_holds_the_roles_and_they_are_in_the_history(office: Office) -> None:
    person = add(office, " New.Person@Serviceme.Example ")
    assert person.email == "new.person@serviceme.example"
    with office.work() as session:
        assert accounts.actor_of(session, person, NOW).roles == {Role.AUDITOR}
        before = accounts.actor_of(session, person, NOW - timedelta(seconds=1))
    assert before.roles == frozenset()
    assert '"what":"role.granted"' in office.system_facts()[-1]
    assert '"detail":"auditor"' in office.system_facts()[-1]


def test_an_address_belongs_to_one_person(office: Office) -> None:
    with pytest.raises(AddressTaken):
        add(office, ADDRESS.upper())


@pytest.mark.parametrize("email", ["", "nobody", "a@b", "a b@serviceme.example", "a@serviceme.example\nBcc: x@y.example"])
def test_an_address_no_mail_can_have_is_refused(office: Office, email: str) -> None:
    with pytest.raises(Invalid) as refused:
        add(office, email)
    assert [each.field for each in refused.value.problems] == ["email"]


def test_a_person_whose_time_zone_nobody_knows_is_refused(office: Office) -> None:
    with office.work() as session, pytest.raises(ZoneUnknown, match="Asia/Shanghai"):
        accounts.add_person(
            session,
            people.OPERATOR,
            email="eva@serviceme.example",
            name="Eva",
            roles=[],
            password=None,
            now=NOW,
            time_zone="Mars/Olympus",
        )


def test_a_short_password_is_refused(office: Office) -> None:
    with pytest.raises(PasswordTooShort, match="at least 12"):
        add(office, password="elevenchars")


@pytest.mark.parametrize("actor", [people.LIAISON, people.AUDITOR, people.STRANGER], ids=lambda each: each.name)
def test_only_operators_disable_people(office: Office, actor: Actor) -> None:
    with office.work() as session, pytest.raises(MissingRole):
        accounts.disable_person(session, actor, people.id_of(people.LEAD), NOW)
