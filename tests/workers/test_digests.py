"""One letter instead of a flood: what goes by itself, what is folded, and that nothing is lost or told twice."""

import threading
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlmodel import select

from tests import people
from tests.builders import MAILER, NOW, WEI, YU
from tests.domain.policy.written import PROD, policy
from tests.workers.post_room import DESK_URL, PostRoom, text_of
from workers import digests, folding, mailing
from workers.claims import perform
from workflow.db import jobs
from workflow.db.queries import digests as queries
from workflow.db.queries import people as person_queries
from workflow.db.tables import Application, Delivery, FoldedLetter, JobRow, Throttle
from workflow.domain.approvals import Choice
from workflow.domain.digests import SINGLES, WINDOW, due_at
from workflow.domain.events import Job
from workflow.domain.roles import Role
from workflow.services import accounts, applications, delivery
from workflow.times import wall_now

DANIEL = "daniel.osei@serviceme.example"
MANY = SINGLES + 1


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.fixture(autouse=True)
def soon_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters are written while nothing is overdue yet."""
    monkeypatch.setattr("workers.digests.utc_now", lambda: NOW)


def to_daniel(row: JobRow) -> bool:
    return row.recipient == people.APPROVER.person_id


def send_digests(room: PostRoom) -> None:
    """Does every digest that is due."""
    for row in room.jobs(Job.DIGEST):
        if row.state in ("pending", "running") and row.next_at <= wall_now():
            perform(Job.DIGEST, str(row.id), lambda job: digests.send_digest(room.here, job), room.claimant)


def everything_for_daniel(room: PostRoom) -> None:
    room.send_letters(to_daniel)
    send_digests(room)


def let_the_window_end(room: PostRoom) -> None:
    with room.office.work() as session:
        for window in session.exec(select(Throttle)):
            window.window_ends_at -= WINDOW
        for row in session.exec(select(JobRow).where(JobRow.kind == Job.DIGEST.value, JobRow.state == "pending")):
            row.next_at -= WINDOW


@pytest.mark.parametrize(
    ("sent", "waiting", "due"),
    [(0, 1, None), (0, 5, None), (4, 1, None), (0, 6, "now"), (3, 7, "now"), (5, 1, "later"), (3, 3, "later"), (6, 9, "later")],
)
def test_the_rule(sent: int, waiting: int, due: str | None) -> None:
    now = wall_now()
    later = now + WINDOW
    assert due_at(sent, later, waiting, now) == {"now": now, "later": later, None: None}[due]


def test_a_clock_that_was_wrong_holds_nothing_back_once_it_is_right() -> None:
    now = wall_now()
    assert due_at(MANY, now + timedelta(days=30), 1, now) == now + WINDOW


def test_a_few_letters_go_by_themselves(post_room: PostRoom) -> None:
    for _ in range(SINGLES):
        post_room.office.submitted()
    post_room.send_letters(to_daniel)
    assert len(post_room.received(DANIEL)) == SINGLES
    assert post_room.jobs(Job.DIGEST) == []


def test_many_at_once_are_one_letter_that_lists_them_with_their_links(post_room: PostRoom) -> None:
    numbers = [post_room.office.submitted() for _ in range(MANY)]
    post_room.send_letters(to_daniel)
    assert post_room.received(DANIEL) == [], "all of them are folded, none is sent before"
    send_digests(post_room)
    (letter,) = post_room.received(DANIEL)
    assert letter["Subject"] == f"{MANY} applications wait for your decision"
    said = text_of(letter)
    assert all(f"{DESK_URL}/approvals/{number}" in said for number in numbers)
    assert "Submitted by Lin Mei, waits since 2 Nov 2026, 09:00." in said
    folded = [row for row in post_room.jobs() if to_daniel(row)]
    assert {row.state for row in folded} == {"done"}
    assert {row.last_error for row in folded} == {f"told of in the digest {letter['Message-ID']}"}
    (digest,) = post_room.jobs(Job.DIGEST)
    assert post_room.delivery_of(digest.id).message_id == letter["Message-ID"]
    send_digests(post_room)
    assert len(post_room.received(DANIEL)) == 1


def test_those_that_no_message_has_brought_yet_are_folded_too(post_room: PostRoom) -> None:
    for _ in range(3 * MANY):
        post_room.office.submitted()
    first = next(row for row in post_room.jobs() if to_daniel(row))
    post_room.send_letters(lambda row: row.id == first.id)
    send_digests(post_room)
    (letter,) = post_room.received(DANIEL)
    assert letter["Subject"].startswith(f"{3 * MANY} applications")
    assert {row.state for row in post_room.jobs() if to_daniel(row)} == {"done"}
    everything_for_daniel(post_room)
    assert len(post_room.received(DANIEL)) == 1, "what was folded is not sent again"
    others = {row.state for row in post_room.jobs() if not to_daniel(row)}
    assert others == {"pending"}, "another person's letters are another person's business"


def test_one_after_the_other_what_is_too_many_waits_for_the_end_of_the_window(post_room: PostRoom) -> None:
    for _ in range(SINGLES + 2):
        post_room.office.submitted()
        post_room.send_letters(to_daniel)
    send_digests(post_room)
    assert len(post_room.received(DANIEL)) == SINGLES
    (digest,) = post_room.jobs(Job.DIGEST)
    assert digest.next_at > wall_now() + WINDOW / 2
    assert digest.created_at == digest.next_at, "what waits for its time is not late"
    let_the_window_end(post_room)
    send_digests(post_room)
    assert post_room.received(DANIEL)[-1]["Subject"] == "2 applications wait for your decision"


def test_after_a_digest_comes_the_next_one_until_a_window_passes_without(post_room: PostRoom) -> None:
    for _ in range(MANY):
        post_room.office.submitted()
    post_room.send_letters(to_daniel)
    send_digests(post_room)
    for _ in range(MANY):
        post_room.office.submitted()
    post_room.send_letters(to_daniel)
    send_digests(post_room)
    assert len(post_room.received(DANIEL)) == 1, "the second digest waits, however many there are"
    let_the_window_end(post_room)
    send_digests(post_room)
    assert len(post_room.received(DANIEL)) == 2
    let_the_window_end(post_room)
    number = post_room.office.submitted()
    post_room.send_letters(to_daniel)
    assert f"Your decision: {number}" in post_room.received(DANIEL)[-1]["Subject"]


def test_a_digest_lists_what_still_waits_for_its_reader(post_room: PostRoom) -> None:
    office = post_room.office
    numbers = [office.submitted() for _ in range(MANY + 2)]
    post_room.send_letters(to_daniel)
    office.vote(numbers[0], Choice.REJECT)
    office.vote(numbers[1], actor=people.SECURITY)
    office.submit(numbers[2])  # revision 2 has a letter of its own
    send_digests(post_room)
    (letter,) = post_room.received(DANIEL)
    said = text_of(letter)
    assert [number for number in numbers if number in said] == numbers[3:]


def test_what_its_reader_has_decided_on_is_not_in_a_digest_although_others_still_have_to(post_room: PostRoom) -> None:
    desk = replace(post_room.office.desk, policy=policy(PROD))
    office = replace(post_room.office, desk=desk)
    numbers = [office.submitted() for _ in range(MANY)]
    post_room.send_letters(to_daniel)
    office.vote(numbers[0])
    send_digests(replace(post_room, here=replace(post_room.here, desk=replace(desk, public_url=DESK_URL))))
    (letter,) = post_room.received(DANIEL)
    assert office.status(numbers[0]) == "submitted"
    assert [number for number in numbers if number in text_of(letter)] == numbers[1:]
    assert "Still missing: 1 of approvers, 1 of security." in text_of(letter)


def test_when_nothing_waits_any_more_there_is_no_letter(post_room: PostRoom) -> None:
    numbers = [post_room.office.submitted() for _ in range(MANY)]
    post_room.send_letters(to_daniel)
    for number in numbers:
        post_room.office.vote(number)
    send_digests(post_room)
    assert post_room.received(DANIEL) == []
    assert [(row.state, row.last_error) for row in post_room.jobs(Job.DIGEST)] == [("done", "nothing of it waits any more")]


def test_operators_get_one_letter_about_much_that_stopped(post_room: PostRoom) -> None:
    office = post_room.office
    numbers = [office.issued(environment=name, recipients=[WEI, YU]) for name in ("DEV", "UAT", "PROD")]
    for number, address in product(numbers, (WEI, YU)):
        job = office.claim(office.delivery_job(number, address))
        built = office.message(number, job, address)
        with office.work() as session:
            delivery.record_refused(session, MAILER, job, None, built, code=550, reply="no such user", now=office.now)
    post_room.send_letters(lambda row: row.recipient == people.OPERATOR.person_id)
    with office.work() as session:  # somebody mended the first one meanwhile
        for each in session.exec(select(Delivery).where(Delivery.application == office.application(numbers[0]).id)):
            each.state = "accepted"
    send_digests(post_room)
    (letter,) = post_room.received("omar.reyes@serviceme.example")
    assert letter["Subject"] == "Needs attention: something stopped at 2 applications"
    said = text_of(letter)
    assert f"The license file could not be delivered to {WEI}. 550 no such user" in said
    assert [number for number in numbers if f"{DESK_URL}/applications/{number}" in said] == numbers[1:]


@pytest.mark.parametrize("when", ["before anything is kept", "before the digest is sent", "after the server has it"])
def test_whenever_the_worker_is_killed_there_is_one_digest(
    post_room: PostRoom, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    for _ in range(MANY):
        post_room.office.submitted()
    place: dict[str, tuple[Any, str]] = {
        "before anything is kept": (queries, "add_lines"),
        "before the digest is sent": (digests, "write"),
        "after the server has it": (mailing, "_record_accepted"),
    }

    def die(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(*place[when], die)
    with pytest.raises(Killed):
        everything_for_daniel(post_room)
    monkeypatch.undo()
    end_leases(post_room)
    everything_for_daniel(post_room)
    (received,) = post_room.received(DANIEL)
    (digest,) = post_room.jobs(Job.DIGEST)
    assert post_room.delivery_of(digest.id).message_id == received["Message-ID"]
    assert {row.last_error for row in post_room.jobs() if to_daniel(row)} == {f"told of in the digest {received['Message-ID']}"}


def end_leases(room: PostRoom) -> None:
    with room.office.work() as session:
        for row in session.exec(select(JobRow).where(JobRow.state == "running")):
            row.lease_until = row.next_at = wall_now() - timedelta(seconds=1)


def test_two_workers_at_once_make_one_digest_of_it(post_room: PostRoom) -> None:
    for _ in range(2 * MANY):
        post_room.office.submitted()
    mine = [row.id for row in post_room.jobs() if to_daniel(row)]
    with post_room.office.work() as session:
        halves = [
            jobs.claim_all(session, Job.LETTER, half, post_room.here.owner, wall_now(), timedelta(seconds=60), 3)
            for half in (mine[:MANY], mine[MANY:])
        ]
    begin, folded = threading.Barrier(2), []

    def work(half: list[jobs.ClaimedJob]) -> None:
        begin.wait(30)
        folded.append(folding.fold_floods(post_room.here, half))

    threads = [threading.Thread(target=work, args=(half,)) for half in halves]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert [len(each) for each in folded] == [MANY, MANY]
    (digest,) = post_room.jobs(Job.DIGEST)
    with post_room.office.work() as session:
        lines = session.exec(select(FoldedLetter)).all()
    assert {(each.job, each.digest) for each in lines} == {(job, digest.id) for job in mine}


def test_whoever_left_gets_no_digest(post_room: PostRoom) -> None:
    for _ in range(MANY):
        post_room.office.submitted()
    post_room.send_letters(to_daniel)
    with post_room.office.work() as session:
        person_queries.get_person(session, people.id_of(people.APPROVER)).disabled_at = post_room.office.now
    send_digests(post_room)
    assert post_room.received(DANIEL) == []


def test_what_is_on_its_way_already_goes_by_itself(post_room: PostRoom) -> None:
    number = post_room.office.submitted()
    post_room.smtp.refuse["DATA"] = "451 4.3.0 try later"
    post_room.send_letters(to_daniel)
    post_room.smtp.refuse["DATA"] = None
    for _ in range(MANY):
        post_room.office.submitted()
    everything_for_daniel(post_room)
    digest, single = sorted(post_room.received(DANIEL), key=lambda each: len(each["Subject"]))
    assert number in single["Subject"]
    assert digest["Subject"] == f"{MANY} applications wait for your decision"


@pytest.mark.parametrize("claimed", ["with the others", "while another is folded"])
def test_a_message_in_doubt_that_an_operator_retries_goes_by_itself_with_the_same_bytes(
    post_room: PostRoom, monkeypatch: pytest.MonkeyPatch, claimed: str
) -> None:
    post_room.office.submitted()

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(mailing, "_record_accepted", die)
        with pytest.raises(Killed):
            post_room.send_letters(to_daniel)
    end_leases(post_room)
    post_room.send_letters(to_daniel)
    (job,) = [row for row in post_room.jobs() if to_daniel(row)]
    assert (job.state, post_room.delivery_of(job.id).state) == ("dead", "in_doubt")
    with post_room.office.work() as session:
        assert jobs.retry(session, job.id, wall_now())
    for _ in range(MANY):
        post_room.office.submitted()
    if claimed == "while another is folded":
        post_room.send_letters(lambda row: to_daniel(row) and row.id != job.id)
    everything_for_daniel(post_room)
    first, *others = post_room.received(DANIEL)
    assert sum(each["Message-ID"] == first["Message-ID"] for each in others) == 1
    assert [each["Subject"] for each in others if each["Message-ID"] != first["Message-ID"]] == [
        f"{MANY} applications wait for your decision"
    ]
    assert post_room.delivery_of(job.id).state == "accepted"


def test_whoever_lost_the_role_reads_nothing_of_what_waits(post_room: PostRoom) -> None:
    for _ in range(MANY):
        post_room.office.submitted()
    post_room.send_letters(to_daniel)
    post_room.office.submitted()
    with post_room.office.work() as session:
        me = people.id_of(people.APPROVER)
        accounts.revoke_role(session, people.OPERATOR, me, Role.APPROVER, post_room.office.now)
    send_digests(post_room)
    post_room.send_letters(to_daniel)
    let_the_window_end(post_room)
    send_digests(post_room)
    assert post_room.received(DANIEL) == []


def test_nobody_hears_that_something_was_withdrawn_of_which_they_had_not_heard(post_room: PostRoom) -> None:
    numbers = [post_room.office.submitted() for _ in range(MANY)]
    post_room.send_letters(to_daniel)
    withdraw(post_room, numbers[0])
    post_room.send_letters(to_daniel)
    send_digests(post_room)
    withdraw(post_room, numbers[1])
    post_room.send_letters(to_daniel)
    digest, letter = post_room.received(DANIEL)
    assert [number for number in numbers if number in text_of(digest)] == numbers[1:]
    assert numbers[1] in letter["Subject"]


def test_whoever_heard_of_it_in_a_letter_of_its_own_hears_that_it_was_withdrawn(post_room: PostRoom) -> None:
    number = post_room.office.submitted()
    post_room.send_letters(to_daniel)
    withdraw(post_room, number)
    post_room.send_letters(to_daniel)
    _, letter = post_room.received(DANIEL)
    assert letter["Subject"].startswith(f"Withdrawn: {number}")


def withdraw(room: PostRoom, number: str) -> None:
    application = room.office.application(number)
    with room.office.work() as session:
        held = session.get(Application, application.id)
        assert held is not None
        applications.withdraw(session, people.LIAISON, held, held.version, "", room.office.now)
