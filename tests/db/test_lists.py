"""What people find: who may know of which application, and lists that page without losing or repeating a line."""

import pytest

from tests import people
from tests.builders import Office
from workflow.db.queries import applications, live, overview
from workflow.db.queries.applications import Page
from workflow.domain.approvals import Choice
from workflow.domain.roles import Actor
from workflow.errors import NotFound

READERS = [*people.APPROVERS, people.OPERATOR, people.AUDITOR]
OTHERS = [people.STRANGER, people.ADMINISTRATOR]


def listed(office: Office, actor: Actor, **filters: object) -> list[str]:
    with office.work() as session:
        page = Page(**filters)  # type: ignore[arg-type]
        return [each.application.number for each in applications.list_applications(session, actor, page)]


def waiting(office: Office, actor: Actor) -> list[str]:
    with office.work() as session:
        found = [each.application.number for each in applications.waiting_for(session, actor, {"approvers"})]
        assert len(found) == overview.count_waiting_for(session, people.id_of(actor), {"approvers"}), (
            "the badge says what the list shows"
        )
        return found


def can_open(office: Office, actor: Actor, number: str) -> bool:
    with office.work() as session:
        try:
            applications.get_visible(session, actor, number)
        except NotFound:
            return False
        return True


def test_a_draft_is_its_owners_own_business(office: Office) -> None:
    number = office.draft()
    for actor in [*READERS, *OTHERS]:
        assert listed(office, actor) == []
        assert not can_open(office, actor, number)
    assert listed(office, people.LIAISON) == [number]
    assert can_open(office, people.LIAISON, number)


def test_a_submitted_application_is_seen_by_its_owner_and_by_those_who_read_all(office: Office) -> None:
    number = office.submitted()
    for actor in [people.LIAISON, *READERS]:
        assert listed(office, actor) == [number]
        assert can_open(office, actor, number)
    for actor in OTHERS:
        assert listed(office, actor) == []
        assert not can_open(office, actor, number)


def test_an_application_that_does_not_exist_and_one_that_is_not_yours_answer_alike(office: Office) -> None:
    number = office.submitted()
    for asked in (number, "APP-2026-9999"):
        with office.work() as session, pytest.raises(NotFound, match=f"There is no application {asked}"):
            applications.get_visible(session, people.STRANGER, asked)


def test_a_list_read_page_by_page_shows_every_line_once(office: Office) -> None:
    numbers = [office.submitted(environment=name) for name in ("DEV", "UAT", "PROD", "DEV", "UAT")]
    seen: list[str] = []
    after = None
    while True:
        with office.work() as session:
            page = applications.list_applications(session, people.AUDITOR, Page(after=after, limit=2))
        seen += [each.application.number for each in page[:2]]
        if len(page) <= 2:
            break
        after = (page[1].application.updated_at, page[1].application.id)
    assert sorted(seen) == numbers  # all changed at one instant: the id decides


def test_a_list_can_be_narrowed_by_status_environment_and_words(office: Office) -> None:
    dev, prod = office.submitted(environment="DEV"), office.approved()
    assert listed(office, people.AUDITOR, status="approved") == [prod]
    assert listed(office, people.AUDITOR, environment="DEV") == [dev]
    assert listed(office, people.AUDITOR, search="harbourLINE") == listed(office, people.AUDITOR)
    assert listed(office, people.AUDITOR, search=dev) == [dev]
    assert listed(office, people.AUDITOR, search="no such company") == []


@pytest.mark.parametrize("search", ["%", "_", "\\", "100%", "'"])
def test_signs_that_mean_something_to_the_database_are_only_signs(office: Office, search: str) -> None:
    office.submitted()
    assert listed(office, people.AUDITOR, search=search) == []


def test_the_queue_holds_what_an_approver_can_still_decide_longest_waiting_first(office: Office) -> None:
    first, second = office.submitted(environment="DEV"), office.submitted()
    assert waiting(office, people.APPROVER) == sorted([first, second])
    office.vote(first)
    assert waiting(office, people.APPROVER) == [second]
    assert waiting(office, people.SECURITY) == [second]


def test_an_application_sent_back_and_handed_in_again_waits_again_for_the_same_approver(office: Office) -> None:
    number = office.submitted()
    office.vote(number, Choice.REQUEST_CHANGES)
    assert waiting(office, people.APPROVER) == []
    office.submit(number)
    assert waiting(office, people.APPROVER) == [number]


def test_nobody_finds_their_own_application_in_their_queue(office: Office) -> None:
    office.submitted()
    assert waiting(office, people.LIAISON) == []


def test_an_open_page_notices_whatever_happens_to_its_application(office: Office) -> None:
    number = office.draft()
    seen: list[str] = []

    def look() -> None:
        row = office.application(number)
        with office.work() as session:
            seen.append(live.stamps(session, [row.id])[row.id])

    look()
    for step in (
        lambda: office.submit(number),
        lambda: office.vote(number),
        lambda: office.sign(number),
        lambda: office.claim(office.delivery_job(number)),
    ):
        step()
        look()
    assert len(set(seen)) == len(seen)
