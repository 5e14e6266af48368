"""Who may do what, role by role."""

import pytest

from tests import people
from workflow.domain.roles import READING, MissingRole, Permission, may, require, system

GRANTED = {
    Permission.APPLY: {people.LIAISON},
    Permission.READ_OWN: {people.LIAISON},
    Permission.DECIDE: set(people.APPROVERS),
    Permission.READ_ALL: {*people.APPROVERS, people.OPERATOR, people.SECOND_OPERATOR, people.AUDITOR},
    Permission.READ_AUDIT: {*people.APPROVERS, people.OPERATOR, people.SECOND_OPERATOR, people.AUDITOR},
    Permission.EDIT_CUSTOMERS: {people.LIAISON, people.OPERATOR, people.SECOND_OPERATOR},
    Permission.DOWNLOAD_FILE: {people.LIAISON, people.OPERATOR, people.SECOND_OPERATOR},
    Permission.DELIVER: {people.LIAISON, people.OPERATOR, people.SECOND_OPERATOR},
    Permission.OPERATE: {people.OPERATOR, people.SECOND_OPERATOR},
    Permission.READ_OPERATIONS: {people.OPERATOR, people.SECOND_OPERATOR, people.AUDITOR},
}


@pytest.mark.parametrize("permission", Permission)
def test_a_permission_belongs_to_these_people_and_nobody_else(permission: Permission) -> None:
    assert {actor for actor in people.EVERYBODY if may(actor, permission)} == GRANTED[permission]


def test_a_stranger_may_do_nothing() -> None:
    assert [each for each in Permission if may(people.STRANGER, each)] == []


def test_an_auditor_changes_nothing() -> None:
    allowed = {each for each in Permission if may(people.AUDITOR, each)}
    assert allowed == {Permission.READ_ALL, Permission.READ_OPERATIONS, Permission.READ_AUDIT}
    assert allowed <= READING


def test_a_part_of_the_desk_that_acts_by_itself_has_no_powers_of_a_person() -> None:
    assert [each for each in Permission if may(system("signing worker"), each)] == []


def test_a_refusal_names_the_roles_that_would_do() -> None:
    with pytest.raises(MissingRole, match="liaison or operator") as refused:
        require(people.AUDITOR, Permission.EDIT_CUSTOMERS)
    assert refused.value.permission is Permission.EDIT_CUSTOMERS


def test_the_record_tells_people_from_parts_of_the_desk() -> None:
    assert people.LIAISON.label == f"person:{people.LIAISON.person_id}"
    assert system("clock").label == "system:clock"
