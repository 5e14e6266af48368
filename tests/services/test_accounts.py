"""Signing in and staying in: one answer for all that is wrong, a throttle, sessions and tokens that end."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from tests import people
from tests.builders import NOW, Office
from workflow.db.queries import events
from workflow.db.tables import ApiToken, Person, RoleGrant, SignedIn
from workflow.domain.events import SYSTEM_STREAM
from workflow.domain.roles import Actor, MissingRole, Role
from workflow.errors import Invalid, NotFound
from workflow.services import accounts
from workflow.services.accounts import (
    AddressTaken,
    PasswordTooShort,
    SessionEnded,
    SignInThrottled,
    TokenRefused,
    WrongCredentials,
    ZoneUnknown,
)
from workflow.services.secrets import hash_of, hash_password
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
    return accounts.sign_in(office.engine, email, password, now=NOW, wall=WALL + timedelta(minutes=minutes))[0]


def fail(office: Office, times: int, email: str = ADDRESS) -> None:
    for _ in range(times):
        with pytest.raises(WrongCredentials):
            sign_in(office, "a wrong password", email)


def who(office: Office, token: str, hours: float = 0) -> Actor:
    with office.work() as session:
        return accounts.actor_for_session(session, token, now=NOW, wall=WALL + timedelta(hours=hours))[0]


def touch(office: Office, token: str, hours: float) -> None:
    with office.work() as session:
        accounts.touch_session(session, token, WALL + timedelta(hours=hours))


def system_facts(office: Office) -> list[str]:
    with office.work() as session:
        assert events.first_broken(session, SYSTEM_STREAM) is None
        return [row.payload for row in events.of_stream(session, SYSTEM_STREAM)]


# Signing in


@pytest.mark.parametrize("email", [ADDRESS, ADDRESS.upper(), f"  {ADDRESS} "])
def test_the_right_password_opens_a_session_with_the_roles_held_now(desk: Office, email: str) -> None:
    assert who(desk, sign_in(desk, email=email)) == people.LIAISON


def test_a_sign_in_is_in_the_history_and_only_the_hash_of_the_cookie_is_kept(desk: Office) -> None:
    token = sign_in(desk)
    assert "person.signed_in" in system_facts(desk)[-1]
    with desk.work() as session:
        row = session.exec(select(SignedIn)).one()
    assert row.token_hash == hash_of(token)
    assert token not in "".join(system_facts(desk))


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
        accounts.disable_person(session, people.OPERATOR, people.id_of(people.LIAISON), NOW)
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


def test_guesses_at_the_same_moment_get_no_more_tries_than_one_after_the_other(desk: Office) -> None:
    def guess(number: int) -> type[Exception] | None:
        try:
            sign_in(desk, f"guess {number}")
        except (WrongCredentials, SignInThrottled) as refused:
            return type(refused)
        return None

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(guess, range(10)))
    assert answers.count(WrongCredentials) == accounts.SIGN_IN_TRIES
    assert answers.count(SignInThrottled) == 10 - accounts.SIGN_IN_TRIES


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


# Sessions


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
        assert not accounts.session_needs_touch(session, token, WALL + timedelta(seconds=60))
        assert accounts.session_needs_touch(session, token, WALL + timedelta(seconds=61))
        assert not accounts.session_needs_touch(session, "unknown", WALL)


def test_signing_out_ends_this_session_and_no_other(desk: Office) -> None:
    first, second = sign_in(desk), sign_in(desk)
    with desk.work() as session:
        accounts.sign_out(session, first)
        accounts.sign_out(session, "unknown")
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
        accounts.disable_person(session, people.OPERATOR, people.id_of(people.LIAISON), NOW)
    with pytest.raises(SessionEnded):
        who(desk, token)


def test_a_role_taken_away_is_gone_at_the_next_click(desk: Office) -> None:
    token = sign_in(desk)
    with desk.work() as session:
        session.exec(select(RoleGrant).where(RoleGrant.person == people.LIAISON.person_id)).one().revoked_at = NOW
    assert who(desk, token).roles == frozenset()


# Tokens


def make_token(office: Office, days: int = 30, name: str = "nightly", actor: Actor = people.LIAISON) -> tuple[str, ApiToken]:
    with office.work() as session:
        return accounts.make_token(session, actor, name, days, now=NOW, wall=WALL)


def bearer(office: Office, token: str, days: float = 0) -> Actor:
    with office.work() as session:
        return accounts.actor_for_token(session, token, now=NOW, wall=WALL + timedelta(days=days))[0]


def test_a_token_speaks_for_its_person_through_the_api(office: Office) -> None:
    token, row = make_token(office)
    actor = bearer(office, token)
    assert (actor.person_id, actor.roles, actor.channel) == (people.LIAISON.person_id, people.LIAISON.roles, "api")
    assert token.startswith("licdesk_")
    assert (row.token_hash, row.hint) == (hash_of(token), token[-4:])
    assert "token.made" in system_facts(office)[-1]
    assert token not in system_facts(office)[-1]


def test_a_token_ends_on_its_day(office: Office) -> None:
    token, _ = make_token(office, days=1)
    bearer(office, token, days=0.99)
    with pytest.raises(TokenRefused):
        bearer(office, token, days=1)


def test_a_revoked_token_an_unknown_one_and_a_disabled_persons_answer_alike(office: Office) -> None:
    (revoked, row), (disabled, _) = make_token(office), make_token(office, actor=people.APPROVER)
    with office.work() as session:
        accounts.revoke_token(session, people.LIAISON, row.id, now=NOW, wall=WALL)
        accounts.disable_person(session, people.OPERATOR, people.id_of(people.APPROVER), NOW)
    said = set()
    for token in (revoked, disabled, "licdesk_guessed", ""):
        with pytest.raises(TokenRefused) as refused:
            bearer(office, token)
        said.add(str(refused.value))
    assert len(said) == 1


def test_revoking_twice_is_one_fact(office: Office) -> None:
    _, row = make_token(office)
    for _ in range(2):
        with office.work() as session:
            accounts.revoke_token(session, people.LIAISON, row.id, now=NOW, wall=WALL)
    assert len([each for each in system_facts(office) if "token.revoked" in each]) == 1


def test_nobody_revokes_somebody_elses_token(office: Office) -> None:
    token, row = make_token(office)
    with office.work() as session, pytest.raises(NotFound):
        accounts.revoke_token(session, people.OPERATOR, row.id, now=NOW, wall=WALL)
    bearer(office, token)


@pytest.mark.parametrize(
    ("name", "days", "fields"),
    [("", 30, ["name"]), ("  ", 0, ["name", "days"]), ("x" * 101, 30, ["name"]), ("ok", 367, ["days"])],
)
def test_a_token_without_a_name_or_an_end_is_not_made(office: Office, name: str, days: int, fields: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        make_token(office, days, name)
    assert [each.field for each in refused.value.problems] == fields


# People


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
    assert '"what":"role.granted"' in system_facts(office)[-1]
    assert '"detail":"auditor"' in system_facts(office)[-1]


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
        accounts.disable_person(session, actor, people.id_of(people.LEAD), NOW)
