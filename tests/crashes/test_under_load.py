"""kill -9 under load, a broker that forgets, a database and a mail server that go away; then everything is counted."""

import os
import random
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import missing
from tests.crashes.fleet import Fleet
from tests.crashes.steps import Step
from tests.mail.peers import running_dovecot, running_postfix
from tests.servers import NotHere, wait_until
from workflow.settings import InDoubt

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

AROUND_DATA = (Step.GENERAL_MARKED, Step.GENERAL_ANSWERED)


def approve_in_turn(fleet: Fleet, numbers: Sequence[str]) -> None:
    """One approval after the other, as quickly as it goes."""
    for number in numbers:
        fleet.approve(number)


def work(chance: random.Random) -> None:
    """Some time to come to any step at all. How long it is decides nothing: whatever has happened by then has to be right."""
    time.sleep(chance.uniform(0.1, 0.6))


def test_twenty_kills_a_broker_that_forgets_and_servers_that_go_away(fleet: Fleet) -> None:
    chance = random.Random(20)
    kills, together = 20, 5
    numbers = fleet.applied("T-4", kills * together)
    relays = [each for each in fleet.names if each.endswith("relay")]
    with ThreadPoolExecutor(1) as approver:
        votes = []
        for kill in range(kills):
            votes.append(approver.submit(approve_in_turn, fleet, numbers[kill * together : (kill + 1) * together]))
            work(chance)
            fleet.restart("general" if kill % 2 else "signing")
            match kill:
                case 4 | 14:
                    for relay in relays:
                        fleet.restart(relay)
                case 6:
                    fleet.kill("mail")
                case 8:
                    fleet.start("mail")
                case 10:
                    fleet.empty_broker()
                case 12:
                    fleet.restart("database" if fleet.postgres else "broker")
        for vote in votes:
            vote.result(120)
    fleet.wait_until_quiet()
    fleet.everything_once(numbers)


def kill_around_data(fleet: Fleet, numbers: Sequence[str]) -> None:
    """A general worker dies with each of these licenses, in turn before the first byte and after the server's answer."""
    for position, number in enumerate(numbers):
        step = AROUND_DATA[position % 2]
        fleet.steps.ask(step)
        fleet.approve(number)
        wait_until(lambda: bool(fleet.steps.reached()), 60, f"a worker comes to: {step}")
        fleet.restart("general")


def test_what_is_sent_again_without_asking_is_marked_so_and_nothing_is_lost(fleet: Fleet) -> None:
    chance = random.Random(6)
    numbers = fleet.applied("T-5", 24)
    with fleet.settling(InDoubt.RESEND):
        kill_around_data(fleet, numbers[:6])
        for position in range(6, 24, 3):
            approve_in_turn(fleet, numbers[position : position + 3])
            work(chance)
            fleet.restart("general")
        fleet.wait_until_quiet()
    count = fleet.count(numbers)
    assert (count.applications, count.licenses, count.lost) == ({"delivered": 24}, 24, [])
    assert sum(count.received[each.message_id] - 1 for each in count.twice) >= 3, "three died after the server's answer"
    assert {each.resolved_by for each in count.twice} == {"resend"}


def test_what_is_held_waits_for_an_operator_and_nothing_comes_twice(fleet: Fleet) -> None:
    numbers = fleet.applied("T-6", 4)
    with fleet.settling(InDoubt.HOLD):
        kill_around_data(fleet, numbers)
        fleet.wait_until_quiet()
        count = fleet.count(numbers)
        assert (count.applications, count.licenses) == ({"issued": 4}, 4)
        held = [each for each in count.owed if each.state == "in_doubt"]
        assert {each.application for each in held if each.application} == fleet.ids_of(numbers)
        assert (count.lost, count.twice, count.of_nobody) == ([], [], set())
        fleet.retry(held)
        fleet.wait_until_quiet()
    count = fleet.count(numbers)
    assert count.applications == {"delivered": 4}
    assert count.lost == []


def test_doubt_is_settled_by_another_archive_than_a_maildir(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A mailbox on an IMAP server, or the log of a Postfix that all mail goes through: one on each kind of database."""
    home = tmp_path_factory.mktemp("archive")
    for parent in (home, *home.parents[:3]):
        if parent.owner() == "root":
            parent.chmod(parent.stat().st_mode | 0o011)  # their daemons run as users of their own
    numbers = fleet.applied("T-7", 4)
    try:
        if fleet.postgres:
            with running_postfix(home) as postfix, fleet.mailing_through(postfix):
                settle_and_count(fleet, numbers)
        else:
            with running_dovecot(home) as dovecot:
                archive = {
                    "LICDESK_MAIL_ARCHIVE": f"imaps://desk%40serviceme.example@127.0.0.1:{dovecot.port}/INBOX",
                    "LICDESK_MAIL_ARCHIVE_PASSWORD": dovecot.password,
                    "SSL_CERT_FILE": str(dovecot.certificate),
                }
                with fleet.settling(InDoubt.VERIFY, archive, maildir=dovecot.maildir):
                    settle_and_count(fleet, numbers)
    except NotHere as error:
        missing(str(error))


def settle_and_count(fleet: Fleet, numbers: Sequence[str]) -> None:
    """Two licenses that the server has, two that it has not: each arrives once."""
    kill_around_data(fleet, numbers)
    fleet.wait_until_quiet()
    count = fleet.count(numbers)
    assert (count.applications, count.licenses) == ({"delivered": 4}, 4)
    sent = [each for each in count.owed if each.license]
    assert [count.received[each.message_id] for each in sent] == [1] * 4
    assert "archive" in {each.resolved_by for each in sent}


def test_a_job_that_kills_its_worker_is_dead_after_its_attempts_and_takes_no_other_along(fleet: Fleet) -> None:
    """What to look at stands on the page: the job's kind, its application, and what became of its workers."""
    numbers = fleet.applied("T-9", 3)
    fleet.max_attempts = 2
    fleet.restart("general")
    for _ in range(2):
        fleet.steps.ask(Step.GENERAL_CLAIMED)
        fleet.approve(numbers[0])
        wait_until(lambda: bool(fleet.steps.reached()), 60, "a worker has claimed it")
        os.kill(fleet.steps.reached() or 0, signal.SIGKILL)
    for number in numbers[1:]:
        fleet.approve(number)
    fleet.wait_until_quiet()
    (dead,) = fleet.dead_jobs()
    assert dead.last_error == "Its worker died 2 times while doing this. Look at the worker's log, then retry."
    assert dead.ref in fleet.ids_of(numbers[:1])
    assert fleet.status_of(numbers) == {"issued": 1, "delivered": 2}
    fleet.retry_dead()
    fleet.wait_until_quiet()
    fleet.everything_once(numbers)
