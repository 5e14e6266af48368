"""Letters about no application: somebody's credentials changed, or the history does not hold."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from tests import people
from tests.builders import NOW
from tests.workers.company import url_as
from tests.workers.post_room import DESK_URL, PostRoom, text_of
from workers import notices
from workers.claims import perform
from workers.housekeeping import look_around
from workers.witness import Witness
from workflow.cli.installation import Process, environ_for
from workflow.db.powers import Power
from workflow.db.queries import people as person_queries
from workflow.db.tables import FindingRow, SecondFactor
from workflow.domain.events import Job
from workflow.domain.roles import Scope
from workflow.services import accounts, one_time_links, second_factor, tokens
from workflow.services.secrets import hash_password
from workflow.settings import WitnessSettings, load
from workflow.times import wall_now

LIN, OMAR, PRIYA = "lin.mei@serviceme.example", "omar.reyes@serviceme.example", "priya.nair@serviceme.example"
ME = replace(people.LIAISON, network="203.0.113.7")
PASSWORD, NEW = "correct horse battery", "another horse battery"


def send_notices(room: PostRoom) -> None:
    for row in room.jobs(Job.NOTICE):
        if row.state == "pending":
            perform(Job.NOTICE, str(row.id), lambda job: notices.send_notice(room.here, job), room.claimant)


@pytest.fixture
def with_a_password(post_room: PostRoom) -> PostRoom:
    """Lin Mei has a password and a second factor."""
    with post_room.office.work() as session:
        person_queries.get_person(session, people.id_of(ME)).password_hash = hash_password(PASSWORD)
        second_factor.start(session, ME, wall_now())
    return post_room


def confirm(session: Session) -> str:
    row = session.get(SecondFactor, people.id_of(ME))
    assert row is not None
    codes = second_factor.confirm(session, ME, pyotp.TOTP(row.secret).at(wall_now()), now=NOW, wall=wall_now())
    return codes[0]


def change_password(session: Session) -> str:
    hashed = hash_password(NEW)
    accounts.change_own_password(session, ME, hashed, "no cookie", NOW)
    return hashed


def set_by_an_operator(session: Session) -> str:
    accounts.set_password(session, people.OPERATOR, people.id_of(ME), NEW, NOW)
    return NEW


def take_the_second_factor_away(session: Session) -> str:
    confirm(session)
    second_factor.turn_off(session, people.OPERATOR, people.id_of(ME), NOW)
    return PASSWORD


def new_recovery_codes(session: Session) -> str:
    confirm(session)
    return second_factor.renew_recovery_codes(session, ME, NOW)[0]


def make_a_token(session: Session) -> str:
    return tokens.make_token(session, ME, "nightly export", 30, scopes=[Scope.APPLY], now=NOW, wall=wall_now())[0]


@pytest.mark.parametrize(
    ("change", "subject", "words"),
    [
        (change_password, "password", "changed by somebody who knew the old one"),
        (set_by_an_operator, "password", "Your account has a new password"),
        (confirm, "second factor set up", "A second factor was set up"),
        (take_the_second_factor_away, "second factor removed", "was removed. The password alone opens it now. When:"),
        (new_recovery_codes, "recovery codes", "The earlier ones work no more"),
        (make_a_token, "new API token", "Token: nightly export"),
    ],
)
def test_whoever_has_an_account_hears_how_it_is_opened_from_now_on(
    with_a_password: PostRoom, change: Callable[[Session], str], subject: str, words: str
) -> None:
    with with_a_password.office.work() as session:
        secret = change(session)
    send_notices(with_a_password)
    letter = with_a_password.received(LIN)[-1]
    said = text_of(letter)
    assert letter["Subject"] == f"Changed at your account: {subject}"
    assert words in said
    assert "When: 2 Nov 2026, 09:00 (UTC)" in said
    by_an_operator = change in (set_by_an_operator, take_the_second_factor_away)
    assert f"By: {'Omar Reyes' if by_an_operator else 'Lin Mei'} Where: on the pages of the desk" in said
    assert f"From address: {'not known' if by_an_operator else '203.0.113.7'}" in said
    assert "Was it not you? Do this now" in said
    for page in ("/forgot", "/profile/security", "/profile"):
        assert f"{DESK_URL}{page} " in said
    assert secret not in letter.as_string()
    assert secret.split("-")[0] not in said


def test_a_password_that_was_reset_with_a_link_is_told_with_the_address_it_came_from(with_a_password: PostRoom) -> None:
    office = with_a_password.office
    with office.work() as session:
        token = one_time_links.make_link(session, people.OPERATOR, people.id_of(ME), now=NOW, wall=wall_now())
    one_time_links.choose_password(office.engine, token, NEW, now=NOW, wall=wall_now(), network="198.51.100.4")
    send_notices(with_a_password)
    (letter,) = with_a_password.received(LIN)
    assert "From address: 198.51.100.4" in text_of(letter)
    assert token not in letter.as_string()


def test_the_first_password_is_no_change(post_room: PostRoom) -> None:
    with post_room.office.work() as session:
        token = one_time_links.make_link(session, people.OPERATOR, people.id_of(ME), now=NOW, wall=wall_now())
    one_time_links.choose_password(post_room.office.engine, token, NEW, now=NOW, wall=wall_now())
    assert post_room.jobs(Job.NOTICE) == []


def test_a_change_that_is_not_kept_is_not_told(with_a_password: PostRoom) -> None:
    def change_and_fail() -> None:
        with with_a_password.office.work() as session:
            make_a_token(session)
            raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert with_a_password.jobs(Job.NOTICE) == []


# What the witness finds


@pytest.fixture
def witness(post_room: PostRoom, issuer_keys: Path, tmp_path: Path) -> Witness:
    """With its own key and its own role in the database."""
    settings = {
        "database_url": url_as(Power.WITNESS, post_room.office.engine),
        "trust_dir": str(issuer_keys / "trust"),
        "checkpoint_dir": str(tmp_path / "checkpoints"),
        "auditor_key": (issuer_keys / "keys" / "auditor.pem").as_uri(),
        "auditor_key_secret_file": str(issuer_keys / "secret"),
    }
    return Witness(load(WitnessSettings, environ_for(Process.WITNESS, settings, {})))


def tamper(room: PostRoom, number: str, sequence: int) -> None:
    """What somebody does who owns the database."""
    trigger = {
        "sqlite": "DROP TRIGGER IF EXISTS event_no_update",
        "postgresql": "DROP TRIGGER IF EXISTS event_no_change ON event",
    }
    stream = str(room.office.application(number).id)
    with room.office.work() as session:
        session.execute(text(trigger[room.office.engine.dialect.name]))
        statement = "UPDATE event SET actor_name = 'Nobody' WHERE stream = :stream AND sequence = :sequence"
        session.execute(text(statement), {"stream": stream, "sequence": sequence})


def test_operators_hear_once_of_what_the_witness_finds(post_room: PostRoom, witness: Witness) -> None:
    first, second = (post_room.office.submitted(environment=name) for name in ("UAT", "PROD"))
    begin = wall_now()
    tamper(post_room, first, 2)
    for hours in (0, 25, 50):
        witness.round(begin + timedelta(hours=hours))
        look_around(post_room.here)
        look_around(post_room.here)
    send_notices(post_room)
    for address in (OMAR, PRIYA):
        (letter,) = post_room.received(address)
        assert letter["Subject"] == "The history does not hold: 1 finding"
        said = text_of(letter)
        assert f"Event 2 of {first} was altered. {DESK_URL}/applications/{first}" in said
        assert "licdesk audit verify" in said
        assert f"{DESK_URL}/audit" in said
    tamper(post_room, second, 1)
    witness.round(begin + timedelta(hours=75))
    look_around(post_room.here)
    send_notices(post_room)
    assert f"Event 1 of {second} was altered." in text_of(post_room.received(OMAR)[-1])
    assert first not in text_of(post_room.received(OMAR)[-1])
    witness.engine.dispose()


def test_while_there_is_no_operator_a_finding_waits_for_one(post_room: PostRoom, witness: Witness) -> None:
    number = post_room.office.submitted()
    tamper(post_room, number, 2)
    with post_room.office.work() as session:
        for each in (people.OPERATOR, people.SECOND_OPERATOR):
            person_queries.get_person(session, people.id_of(each)).disabled_at = NOW
    witness.round(wall_now())
    look_around(post_room.here)
    assert post_room.jobs(Job.NOTICE) == []
    with post_room.office.work() as session:
        person_queries.get_person(session, people.id_of(people.OPERATOR)).disabled_at = None
    look_around(post_room.here)
    send_notices(post_room)
    assert len(post_room.received(OMAR)) == 1
    with post_room.office.work() as session:
        assert [row.sentence for row in session.exec(select(FindingRow))] == [f"Event 2 of {number} was altered."]
    witness.engine.dispose()
