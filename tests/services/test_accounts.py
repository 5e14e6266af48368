"""People: added, given roles, disabled."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from tests import people
from tests.builders import NOW, Office
from workflow.db.queries import applications, directory, ledger, overview
from workflow.db.queries.moves import AlreadyMoved
from workflow.db.queries.people import roles_of
from workflow.db.tables import Person, Tenant
from workflow.domain.roles import Actor, MissingRole, Role
from workflow.errors import Invalid, NotFound
from workflow.services import accounts, handing_over
from workflow.services.accounts import AddressTaken, LastOperator, OwnRoles, PasswordTooShort, RolesDoNotFit, ZoneUnknown
from workflow.services.handing_over import NotALiaison
from workflow.times import wall_now

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
        accounts.disable_person(session, actor, people.id_of(people.LEAD), now=NOW, wall=wall_now())


def disable(office: Office, actor: Actor, who: Actor) -> list[str]:
    with office.work() as session:
        left = accounts.disable_person(session, actor, people.id_of(who), now=NOW, wall=wall_now())
        return [each.number for each in left]


def test_who_leaves_hands_what_is_open_to_nobody(office: Office) -> None:
    draft, submitted, approved = office.draft(), office.submitted(), office.approved()
    done = office.issued()
    assert sorted(disable(office, people.OPERATOR, people.LIAISON)) == sorted([draft, submitted, approved])
    with office.work() as session:
        assert [each.number for each, _ in overview.left_behind(session)] == [draft, submitted, approved]
        assert overview.count_left_behind(session) == 3
    for number in (draft, submitted, approved, done):
        assert office.application(number).owner == people.LIAISON.person_id, "nothing changes hands by itself"
    assert disable(office, people.OPERATOR, people.LIAISON) == []


def test_an_operator_hands_open_work_to_another_liaison(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        other = accounts.add_person(
            session, people.OPERATOR, email="eva@serviceme.example", name="Eva", roles=[Role.LIAISON], password=None, now=NOW
        ).id
    disable(office, people.OPERATOR, people.LIAISON)
    for actor, to, error in (
        (people.LIAISON, other, MissingRole),
        (people.OPERATOR, people.id_of(people.APPROVER), NotALiaison),
        (people.OPERATOR, people.id_of(people.LIAISON), None),  # in charge already
        (people.OPERATOR, other, None),
    ):
        with office.work() as session:
            application = session.merge(office.application(number))
            if error is None:
                handing_over.hand_over(session, actor, application, to, NOW)
            else:
                with pytest.raises(error):
                    handing_over.hand_over(session, actor, application, to, NOW)
    assert office.application(number).owner == other
    assert [each.type for each in office.history(number)].count("application.handed_over") == 1
    with office.work() as session:
        assert overview.left_behind(session) == []


def test_of_two_who_hand_over_at_once_the_second_is_told(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        other = accounts.add_person(
            session, people.OPERATOR, email="eva@serviceme.example", name="Eva", roles=[Role.LIAISON], password=None, now=NOW
        ).id
    read = office.application(number)
    with office.work() as session:
        handing_over.hand_over(session, people.OPERATOR, session.merge(read), other, NOW)
    with office.work() as session, pytest.raises(AlreadyMoved):
        handing_over.hand_over(session, people.SECOND_OPERATOR, session.merge(read, load=False), other, NOW)


def test_nobody_changes_their_own_roles_or_disables_themselves(office: Office) -> None:
    me = people.id_of(people.OPERATOR)
    with office.work() as session:
        with pytest.raises(OwnRoles):
            accounts.grant_role(session, people.OPERATOR, me, Role.APPROVER, NOW)
        with pytest.raises(OwnRoles):
            accounts.revoke_role(session, people.OPERATOR, me, Role.OPERATOR, NOW)
    with pytest.raises(OwnRoles):
        disable(office, people.OPERATOR, people.OPERATOR)


def test_the_last_operator_stays(office: Office) -> None:
    disable(office, people.OPERATOR, people.SECOND_OPERATOR)
    shell = replace(people.SECOND_OPERATOR, person_id=None)
    with pytest.raises(LastOperator):
        disable(office, shell, people.OPERATOR)
    with office.work() as session, pytest.raises(LastOperator):
        accounts.revoke_role(session, shell, people.id_of(people.OPERATOR), Role.OPERATOR, NOW)


def test_an_administrator_belongs_to_a_customer_and_does_nothing_else(office: Office) -> None:
    with office.work() as session:
        tenant = session.exec(select(Tenant.id)).one()
        administrator = people.id_of(people.ADMINISTRATOR)
        for role in (Role.LIAISON, Role.APPROVER, Role.OPERATOR, Role.AUDITOR):
            with pytest.raises(RolesDoNotFit):
                accounts.grant_role(session, people.OPERATOR, administrator, role, NOW)
        with pytest.raises(RolesDoNotFit):
            accounts.grant_role(session, people.OPERATOR, people.id_of(people.LEAD), Role.ADMINISTRATOR, NOW)
    for roles, of in (([Role.ADMINISTRATOR], None), ([Role.ADMINISTRATOR, Role.APPROVER], tenant), ([Role.AUDITOR], tenant)):
        with office.work() as session, pytest.raises(RolesDoNotFit):
            accounts.add_person(
                session, people.OPERATOR, email="x@y.example", name="X", roles=roles, password=None, now=NOW, tenant=of
            )


def test_roles_are_changed_to_exactly_what_is_wanted(office: Office) -> None:
    lead = people.id_of(people.LEAD)
    with office.work() as session:
        accounts.change_roles(session, people.OPERATOR, lead, {Role.LIAISON, Role.AUDITOR}, NOW)
    with office.work() as session:
        assert roles_of(session, lead, NOW) == {Role.LIAISON, Role.AUDITOR}
    facts = [each for each in office.system_facts() if "role." in each]
    assert [each.split('"what":')[1] for each in facts] == ['"role.revoked"}', '"role.granted"}', '"role.granted"}']


def test_a_team_sees_what_its_liaisons_handed_in(office: Office) -> None:
    with office.work() as session:
        mate = accounts.add_person(
            session, people.OPERATOR, email="eva@serviceme.example", name="Eva", roles=[Role.LIAISON], password=None, now=NOW
        )
        eva = accounts.actor_of(session, mate, NOW)
    draft, issued = office.draft(), office.issued()

    def seen() -> tuple[list[str], int, int]:
        with office.work() as session:
            listed = applications.list_applications(session, eva, applications.Page())
            licenses = directory.page_of_licenses(session, eva)
            return (
                [each.application.number for each in listed],
                len(licenses),
                len(ledger.page(session, eva, ledger.Asked(), limit=50)),
            )

    assert seen() == ([], 0, 0)
    with office.work() as session:
        for person in (people.id_of(people.LIAISON), mate.id):
            accounts.change_team(session, people.OPERATOR, person, " North ", NOW)
    office.hand_over(issued)
    assert seen() == ([issued], 1, 1)
    with office.work() as session:
        assert applications.get_visible(session, eva, issued).number == issued
        with pytest.raises(NotFound):
            applications.get_visible(session, eva, draft)
        accounts.change_team(session, people.OPERATOR, mate.id, "", NOW)
    assert seen() == ([], 0, 0)
