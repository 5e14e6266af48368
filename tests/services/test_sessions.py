"""Signing in and staying in: one answer for all that is wrong, a throttle, sessions that end."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from tests import people
from tests.builders import NOW, Office
from workflow.db.tables import Person, RoleGrant, SignedIn, Throttle
from workflow.domain.roles import Actor
from workflow.services import accounts, sessions
from workflow.services.secrets import hash_of, hash_password
from workflow.services.sessions import SessionEnded, SignInThrottled, WrongCredentials
from workflow.times import wall_now

ADDRESS, PASSWORD = people.STAFF[0].email, "correct horse battery staple"
WALL = wall_now()
HASH = hash_password(PASSWORD)


@pytest.fixture
def desk(office: Office) -> Office:
    """The office, where the liaison has a password."""
    with office.work() as session:
        liaison(session).password_hash = HASH
    return office


def liaison(session: Session) -> Person:
    return session.exec(select(Person).where(Person.email == ADDRESS)).one()


def sign_in(office: Office, password: str = PASSWORD, email: str = ADDRESS, minutes: float = 0) -> str:
    return sessions.sign_in(office.engine, email, password, now=NOW, wall=WALL + timedelta(minutes=minutes)).token


def fail(office: Office, times: int, email: str = ADDRESS) -> None:
    for _ in range(times):
        with pytest.raises(WrongCredentials):
            sign_in(office, "a wrong password", email)


def who(office: Office, token: str, hours: float = 0) -> Actor:
    with office.work() as session:
        return sessions.actor_for_session(session, token, now=NOW, wall=WALL + timedelta(hours=hours))[0]


def touch(office: Office, token: str, hours: float) -> None:
    with office.work() as session:
        sessions.touch_session(session, token, WALL + timedelta(hours=hours))


@pytest.mark.parametrize("email", [ADDRESS, ADDRESS.upper(), f"  {ADDRESS} "])
def test_the_right_password_opens_a_session_with_the_roles_held_now(desk: Office, email: str) -> None:
    assert who(desk, sign_in(desk, email=email)) == people.LIAISON


def test_a_sign_in_is_in_the_history_and_only_the_hash_of_the_cookie_is_kept(desk: Office) -> None:
    token = sign_in(desk)
    assert "person.signed_in" in desk.system_facts()[-1]
    with desk.work() as session:
        row = session.exec(select(SignedIn)).one()
    assert row.token_hash == hash_of(token)
    assert token not in "".join(desk.system_facts())


def test_unknown_wrong_and_disabled_get_the_same_answer(desk: Office) -> None:
    def answer(email: str, password: str) -> str:
        with pytest.raises(WrongCredentials) as refused:
            sign_in(desk, password, email)
        return str(refused.value)

    answers = {
        answer(ADDRESS, "wrong"),
        answer("nobody@serviceme.example", PASSWORD),
        answer(people.STAFF[1].email, PASSWORD),  # has no password
        answer(ADDRESS, ""),
        answer("", ""),
    }
    with desk.work() as session:
        accounts.disable_person(session, people.OPERATOR, people.id_of(people.LIAISON), now=NOW, wall=wall_now())
    answers.add(answer(ADDRESS, PASSWORD))
    assert len(answers) == 1


def test_whatever_is_typed_into_the_sign_in_is_only_wrong(desk: Office) -> None:
    for email in ("\x00", f"{ADDRESS}\x00", "\ud800", "' OR 1=1 --", "x" * 5_000):
        with pytest.raises(WrongCredentials):
            sign_in(desk, email=email)
    for password in ("\x00", "\ud800", "x" * 100_000):
        with pytest.raises(WrongCredentials):
            sign_in(desk, password)


def test_five_wrong_passwords_shut_an_address_for_a_quarter_of_an_hour(desk: Office) -> None:
    fail(desk, 4)
    sign_in(desk)  # forgets them
    fail(desk, 5)
    with pytest.raises(SignInThrottled, match="Try again in 15 min") as refused:
        sign_in(desk)
    assert refused.value.retry_after == 15 * 60
    with pytest.raises(SignInThrottled):
        sign_in(desk, minutes=14.9)
    assert sign_in(desk, minutes=15)


def test_a_network_that_guesses_at_many_addresses_is_shut_out_for_a_while_and_others_are_not(desk: Office) -> None:
    def try_from(network: str, email: str, password: str, minutes: float = 0) -> str:
        where = sessions.Where(network=network)
        wall = WALL + timedelta(minutes=minutes)
        return sessions.sign_in(desk.engine, email, password, now=NOW, wall=wall, where=where).token

    for number in range(sessions.NETWORK_TRIES):
        with pytest.raises(WrongCredentials):
            try_from(f"2001:db8::{number:x}", f"nobody{number}@serviceme.example", "guess")
    with pytest.raises(SignInThrottled, match=r"from your network\. Try again in 15 min"):
        try_from("2001:db8::ffff:1", ADDRESS, PASSWORD)
    assert try_from("2001:db8:0:1::1", ADDRESS, PASSWORD)
    assert try_from("2001:db8::1", ADDRESS, PASSWORD, minutes=15)


def test_those_who_sign_in_rightly_never_shut_their_own_network_out(desk: Office) -> None:
    where = sessions.Where(network="192.0.2.7")
    for _ in range(3):
        with pytest.raises(WrongCredentials):
            sessions.sign_in(desk.engine, ADDRESS, "typo", now=NOW, wall=WALL, where=where)
        sessions.sign_in(desk.engine, ADDRESS, PASSWORD, now=NOW, wall=WALL, where=where)
    with desk.work() as session:
        row = session.get(Throttle, "sign-in-from:192.0.2.7")
        assert row is not None
        assert row.count == 3, "wrong ones only"


@pytest.mark.usefixtures("passwords_at_full_cost")
def test_guesses_at_the_same_moment_get_no_more_tries_than_one_after_the_other(desk: Office) -> None:
    def guess(number: int) -> type[Exception] | None:
        try:
            sign_in(desk, f"guess {number}")
        except (WrongCredentials, SignInThrottled) as refused:
            return type(refused)
        return None

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(guess, range(10)))
    assert answers.count(WrongCredentials) == sessions.SIGN_IN_TRIES
    assert answers.count(SignInThrottled) == 10 - sessions.SIGN_IN_TRIES


def test_the_throttle_is_per_address_and_knows_no_case(desk: Office) -> None:
    fail(desk, 5, ADDRESS.upper())
    with pytest.raises(SignInThrottled):
        sign_in(desk)
    with pytest.raises(WrongCredentials):
        sign_in(desk, email=people.STAFF[1].email)


def test_an_address_nobody_has_is_throttled_alike(desk: Office) -> None:
    fail(desk, 5, "nobody@serviceme.example")
    with pytest.raises(SignInThrottled):
        sign_in(desk, email="nobody@serviceme.example")


def test_a_session_ends_after_two_idle_hours(desk: Office) -> None:
    token = sign_in(desk)
    who(desk, token, hours=2)
    with pytest.raises(SessionEnded):
        who(desk, token, hours=2.01)


def test_a_session_in_use_lives_on_but_never_longer_than_twelve_hours(desk: Office) -> None:
    token = sign_in(desk)
    for hours in range(1, 12):
        who(desk, token, hours)
        touch(desk, token, hours)
    who(desk, token, hours=11.99)
    with pytest.raises(SessionEnded):
        who(desk, token, hours=12)


def test_a_session_is_written_at_most_once_a_minute(desk: Office) -> None:
    token = sign_in(desk)
    with desk.work() as session:
        assert not sessions.session_needs_touch(session, token, WALL + timedelta(seconds=60))
        assert sessions.session_needs_touch(session, token, WALL + timedelta(seconds=61))
        assert not sessions.session_needs_touch(session, "unknown", WALL)


def test_signing_out_ends_this_session_and_no_other(desk: Office) -> None:
    first, second = sign_in(desk), sign_in(desk)
    with desk.work() as session:
        sessions.sign_out(session, first)
        sessions.sign_out(session, "unknown")
    with pytest.raises(SessionEnded):
        who(desk, first)
    who(desk, second)


def test_a_guessed_cookie_is_an_ended_session(desk: Office) -> None:
    for token in ("", "guessed", "\x00", "\ud800"):
        with pytest.raises(SessionEnded):
            who(desk, token)


def test_a_person_who_was_disabled_is_out_at_once(desk: Office) -> None:
    token = sign_in(desk)
    with desk.work() as session:
        accounts.disable_person(session, people.OPERATOR, people.id_of(people.LIAISON), now=NOW, wall=wall_now())
    with pytest.raises(SessionEnded):
        who(desk, token)


def test_a_role_taken_away_is_gone_at_the_next_click(desk: Office) -> None:
    token = sign_in(desk)
    with desk.work() as session:
        session.exec(select(RoleGrant).where(RoleGrant.person == people.LIAISON.person_id)).one().revoked_at = NOW
    assert who(desk, token).roles == frozenset()
