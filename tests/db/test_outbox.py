"""The jobs that events owe: one per reader, once, in the transaction of the fact."""

from contextlib import suppress
from uuid import RFC_4122

import psycopg
import pytest
from sqlalchemy import Engine
from sqlmodel import select

from tests import people
from tests.builders import NOW, WEI, YU, Office
from tests.servers import PostgresServer
from workflow.database import create_engine, transaction
from workflow.db import outbox
from workflow.db.ids import new_id
from workflow.db.queries import applications, customers
from workflow.db.tables import JobRow, RoleGrant
from workflow.domain.approvals import Choice
from workflow.domain.events import ApplicationApproved, ApplicationRejected, Job, SystemFact
from workflow.domain.roles import Role
from workflow.services import accounts, recipients
from workflow.times import wall_now

HARBOURLINE = "T-20817"


def all_jobs(engine: Engine) -> list[JobRow]:
    with transaction(engine) as session:
        return list(session.exec(select(JobRow)))


def test_every_approver_is_asked_and_nobody_else(office: Office) -> None:
    number = office.submitted()
    assert office.letters(number) == sorted(("approval_requested", each.name) for each in people.APPROVERS)


def test_an_approver_who_left_is_not_asked(office: Office) -> None:
    with office.work() as session:
        accounts.disable_person(session, people.OPERATOR, people.id_of(people.LEAD), now=NOW, wall=wall_now())
    assert ("approval_requested", people.LEAD.name) not in office.letters(office.submitted())


def test_someone_who_is_not_an_approver_any_more_is_not_asked(office: Office) -> None:
    with office.work() as session:
        grant = session.exec(select(RoleGrant).where(RoleGrant.person == people.LEAD.person_id)).one()
        grant.revoked_at = NOW
    assert ("approval_requested", people.LEAD.name) not in office.letters(office.submitted())


def test_someone_who_holds_a_role_twice_gets_one_letter(office: Office) -> None:
    with office.work() as session:
        session.add(RoleGrant(person=people.id_of(people.LEAD), role=Role.APPROVER.value, granted_at=people.HIRED))
    assert office.letters(office.submitted()).count(("approval_requested", people.LEAD.name)) == 1


def test_the_file_is_owed_to_each_recipient_of_the_application_once(office: Office) -> None:
    number = office.issued(recipients=[YU, WEI])
    with office.work() as session:
        tenant = customers.get_tenant(session, HARBOURLINE)
        wanted = [customers.find_recipient(session, tenant.id, address) for address in (YU, WEI)]
    owed = [row.recipient for row in office.jobs(number, Job.DELIVER)]
    assert len(owed) == 2
    assert set(owed) == {each.id for each in wanted if each}


def test_a_recipient_who_was_not_named_or_was_removed_gets_nothing(office: Office) -> None:
    number = office.approved(recipients=[WEI, YU])
    with office.work() as session:
        tenant = customers.get_tenant(session, HARBOURLINE)
        office.add_recipient(session, tenant, "Somebody Else", "else@harbourline.example")
        yu = customers.find_recipient(session, tenant.id, YU)
        assert yu is not None
        recipients.remove_recipient(session, people.LIAISON, yu.id, NOW)
    office.sign(number)
    assert len(office.jobs(number, Job.DELIVER)) == 1


def test_nothing_is_owed_for_a_fact_that_was_rolled_back(office: Office) -> None:
    number = office.submitted()
    before = len(all_jobs(office.engine))
    with suppress(ZeroDivisionError), office.work() as session:
        application = applications.get_application(session, number)
        outbox.record(session, ApplicationRejected(1, "no"), people.APPROVER, NOW, application=application)
        raise ZeroDivisionError
    assert len(all_jobs(office.engine)) == before
    assert "application.rejected" not in office.said(number)


def test_the_same_work_under_one_key_is_owed_once(engine: Engine) -> None:
    with transaction(engine) as session:
        first = outbox.owe(session, Job.SIGN, "sign:17", ref=new_id())
        again = outbox.owe(session, Job.SIGN, "sign:17", ref=new_id())
    with transaction(engine) as session:
        later = outbox.owe(session, Job.SIGN, "sign:17")
    assert first is not None
    assert (again, later) == (None, None)
    assert [row.id for row in all_jobs(engine)] == [first]


def test_a_batch_adds_what_is_new_and_says_which_that_was(engine: Engine) -> None:
    rows = [outbox.job_values(Job.REMINDER, f"remind:{number}", ref=None) for number in range(3)]
    with transaction(engine) as session:
        outbox.add_jobs(session, rows[:1])
    with transaction(engine) as session:
        assert set(outbox.add_jobs(session, [*rows, rows[2]])) == {rows[1]["id"], rows[2]["id"]}
        assert outbox.add_jobs(session, []) == []


def test_the_same_fact_twice_is_two_events_with_work_of_their_own(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        application = applications.get_application(session, number)
        for _ in range(2):
            outbox.record(session, ApplicationApproved(1, "d", 1, "p"), people.APPROVER, NOW, application=application)
    assert len(office.jobs(number, Job.SIGN)) == 2


def test_a_job_is_due_at_once_by_the_clock_that_leases_use_whatever_the_demo_clock_says(office: Office) -> None:
    number = office.submitted()  # its events are of NOW, weeks away from this machine's time
    for job in office.jobs(number):
        assert abs((job.next_at - wall_now()).total_seconds()) < 60
        assert (job.state, job.attempts, job.published) == ("pending", 0, 0)


def test_a_job_knows_the_event_it_is_owed_for(office: Office) -> None:
    number = office.submitted()
    office.vote(number, Choice.REJECT, comment="Not this quarter.")
    rejected = office.history(number)[-1]
    assert [job.event for job in office.jobs(number) if job.detail == "rejected"] == [rejected.id]


@pytest.mark.postgres
def test_the_commit_of_owed_work_rings_at_the_relays_and_a_rollback_does_not(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        engine = create_engine(url)
        listener = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        listener.execute(f"LISTEN {outbox.CHANNEL}")
        with transaction(engine) as session:
            outbox.record(session, SystemFact("person.signed_in", "x"), people.OPERATOR, NOW)  # owes nothing
        with transaction(engine) as session:
            outbox.owe(session, Job.LETTER, "letter:1")  # has time
        with suppress(ZeroDivisionError), transaction(engine) as session:
            outbox.owe(session, Job.SIGN, "sign:1")
            raise ZeroDivisionError
        assert list(listener.notifies(timeout=0.3)) == []
        with transaction(engine) as session:
            outbox.owe(session, Job.SIGN, "sign:1")
            outbox.owe(session, Job.SIGN, "sign:2")
        assert len(list(listener.notifies(timeout=5, stop_after=1))) == 1
        listener.close()
        engine.dispose()


def test_ids_made_later_sort_later_even_within_a_millisecond() -> None:
    made = [new_id() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert {(each.version, each.variant) for each in made} == {(7, RFC_4122)}
