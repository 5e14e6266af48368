"""The conditional write behind every move: the table says where to, and only the reader of the newest version writes."""

from itertools import product

import pytest
from sqlalchemy import update
from sqlmodel import Session, col

from tests import people
from tests.builders import NOW, Office
from workflow.db.ids import new_id
from workflow.db.queries import applications, moves
from workflow.db.queries.moves import AlreadyMoved
from workflow.db.tables import Application
from workflow.domain.application import TRANSITIONS, Action, IllegalMove, Status
from workflow.domain.approvals import Choice
from workflow.services import applications as applying


def an_application(session: Session, status: Status, number: str) -> Application:
    row = Application(
        id=new_id(), number=number, owner=people.id_of(people.LIAISON), status=status.value, created_at=NOW, updated_at=NOW
    )
    session.add(row)
    session.flush()
    return row


def test_every_status_and_action_is_written_as_the_table_says_or_not_at_all(office: Office) -> None:
    with office.work() as session:
        for position, (status, action) in enumerate(product(Status, Action)):
            row = an_application(session, status, f"APP-2026-{position:04d}")
            target = TRANSITIONS.get((status, action))
            if target is None:
                with pytest.raises(IllegalMove):
                    moves.move(session, row, action, NOW)
                expected = (status.value, 1)
            else:
                assert moves.move(session, row, action, NOW) is target
                expected = (target.value, 2)
            assert (row.status, row.version) == expected
            session.refresh(row)
            assert (row.status, row.version) == expected, "the row and the object say the same"


def test_of_two_who_read_the_same_version_only_the_first_moves_it(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        read_earlier = applications.get_application(session, number)
    office.vote(number, Choice.REJECT)
    with office.work() as session, pytest.raises(AlreadyMoved):
        moves.move(session, read_earlier, Action.WITHDRAW, NOW)
    assert office.status(number) == "rejected"


def test_a_version_that_moved_on_is_refused_even_in_the_same_status(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        read_earlier = applications.get_application(session, number)
    office.submit(number)  # a new revision, still submitted
    with office.work() as session, pytest.raises(AlreadyMoved):
        moves.move(session, read_earlier, Action.RECORD_APPROVAL, NOW)


def test_who_comes_late_is_told_who_was_quicker_what_they_did_and_when(office: Office) -> None:
    number = office.submitted()
    seen = office.application(number).version
    office.vote(number, Choice.REQUEST_CHANGES)
    with office.work() as session, pytest.raises(AlreadyMoved) as refused:
        applying.withdraw(session, people.LIAISON, applications.get_application(session, number), seen, "", NOW)
    assert str(refused.value).startswith("Daniel Osei sent it back on 2 Nov 2026 at 09:00 UTC")


def test_nobody_is_blamed_for_a_form_that_was_saved_in_a_second_window(office: Office) -> None:
    """The liaison saved the draft again after the approver sent it back: that is what made the first window old."""
    number = office.submitted()
    office.vote(number, Choice.REQUEST_CHANGES)
    seen = office.application(number).version
    later = office.now.replace(hour=11)
    for version in (seen, None):
        with office.work() as session:
            application = applications.get_application(session, number)
            applying.save_draft(session, people.LIAISON, {}, later, application=application, seen_version=version)
    with office.work() as session:
        application = applications.get_application(session, number)
        with pytest.raises(AlreadyMoved) as refused:
            applying.save_draft(session, people.LIAISON, {}, later, application=application, seen_version=seen)
    assert "Daniel Osei" not in str(refused.value)
    assert "changed meanwhile" in str(refused.value)


def test_pages_say_when_in_their_readers_zone() -> None:
    late = AlreadyMoved("Daniel Osei approved it", NOW.replace(hour=9, minute=0))
    assert f"Daniel Osei approved it on {NOW:%-d %b %Y} at 09:00 UTC, after" in str(late)
    assert f"Daniel Osei approved it on {NOW:%-d %b %Y} at 17:00, after" in late.told("Asia/Shanghai")
    assert "changed meanwhile" in AlreadyMoved().told("Asia/Shanghai")


def test_every_event_that_changes_an_application_can_be_put_into_words(office: Office) -> None:
    """Whatever made a page old must have words in the message for whoever comes late."""
    number = office.activated()
    told = {"application.drafted", "delivery.accepted"}  # these leave the version alone, or are the first thing at all
    assert [each for each in office.said(number) if each not in moves._SAID and each not in told] == []


def test_a_status_the_table_does_not_know_cannot_be_stored(office: Office) -> None:
    number = office.submitted()
    with pytest.raises(Exception, match="ck_application_status"), office.work() as session:
        session.execute(update(Application).where(col(Application.number) == number).values(status="lost"))
