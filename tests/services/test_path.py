"""The whole path, from the application to the file in force and its renewal, with what each step leaves behind."""

from datetime import timedelta

from tests import people
from tests.builders import Office
from workflow.domain.events import Job


def test_an_application_goes_through_the_five_states(office: Office) -> None:
    number = office.submitted()
    seen = [office.status(number)]
    office.vote(number)
    seen.append(office.status(number))
    office.sign(number)
    seen.append(office.status(number))
    office.hand_over(number)
    seen.append(office.status(number))
    office.confirm()
    office.report(number)
    seen.append(office.status(number))
    assert seen == ["submitted", "approved", "issued", "delivered", "activated"]
    assert office.said(number) == [
        "application.drafted",
        "application.submitted",
        "application.approval_recorded",
        "application.approved",
        "license.issued",
        "delivery.accepted",
        "license.delivered",
        "license.activated",
    ]


def test_every_step_says_who_took_it(office: Office) -> None:
    number = office.activated()
    names = [row.actor_name for row in office.history(number)]
    liaison, approver = people.LIAISON.name, people.APPROVER.name
    assert names == [liaison, liaison, approver, approver, "signing worker", "mail worker", "mail worker", "platform"]


def test_each_step_owes_its_letters_to_the_right_people(office: Office) -> None:
    number = office.activated()
    assert office.letters(number) == sorted(
        [
            *(("approval_requested", each.name) for each in people.APPROVERS),
            ("approved", "Lin Mei"),
            ("delivered", "Lin Mei"),
            ("activated", "Lin Mei"),
        ]
    )
    assert len(office.jobs(number, Job.SIGN)) == 1
    assert len(office.jobs(number, Job.DELIVER)) == 1


def test_a_renewal_goes_the_same_path_under_the_same_license_id_and_replaces_the_first(office: Office) -> None:
    first = office.activated()
    office.now += timedelta(days=357)
    second = office.renewal_of(first)
    office.vote(second)
    office.sign(second)
    office.hand_over(second)
    assert office.status(first) == "activated", "nothing changes before the customer activates the new one"
    office.report(second)
    assert (office.status(first), office.status(second)) == ("superseded", "activated")
    older, newer = office.license_of(first), office.license_of(second)
    assert (older.license_id, older.version) == (newer.license_id, 1)
    assert newer.version == 2
    assert (older.standing, newer.standing) == ("superseded", "activated")
    assert older.superseded_by == newer.id
    assert office.said(first)[-1] == "license.superseded"
