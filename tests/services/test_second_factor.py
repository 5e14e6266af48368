"""The second factor: a code is good once and for a minute and a half, recovery codes once, and guessing is slow."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from sqlmodel import Session, col, select

from tests import people
from tests.builders import NOW, Office
from workflow.db.queries import credentials
from workflow.db.tables import Person, RecoveryCode, SecondFactor, SignedIn
from workflow.domain.roles import Actor, MissingRole
from workflow.errors import NotFound
from workflow.services import accounts, confirming, second_factor, sessions
from workflow.services.confirming import Asked, SecondFactorMissing, Shown, WrongPassword
from workflow.services.second_factor import (
    AlreadySetUp,
    NotStarted,
    SecondFactorThrottled,
    WrongSecondFactor,
)
from workflow.services.secrets import hash_password
from workflow.services.sessions import SessionEnded

PERSON, ADDRESS, PASSWORD = people.id_of(people.APPROVER), people.STAFF[1].email, "correct horse battery staple"
HASH = hash_password(PASSWORD)
WALL = datetime(2026, 11, 2, 9, 0, 10, tzinfo=UTC)
STEP = timedelta(seconds=30)


def secret(office: Office) -> str:
    with office.work() as session:
        return session.exec(select(SecondFactor.secret).where(SecondFactor.person == PERSON)).one()


def code(office: Office, at: datetime = WALL) -> str:
    return pyotp.TOTP(secret(office)).at(at)


def set_up(office: Office, at: datetime = WALL - timedelta(hours=1)) -> tuple[str, ...]:
    """The approver's app, set up an hour ago; returns the recovery codes."""
    with office.work() as session:
        session.exec(select(Person).where(Person.id == PERSON)).one().password_hash = HASH
        second_factor.start(session, people.APPROVER, at)
    with office.work() as session:
        return second_factor.confirm(session, people.APPROVER, code(office, at), now=NOW, wall=at)


def prove(office: Office, typed: str, at: datetime = WALL) -> None:
    second_factor.prove(office.engine, PERSON, typed, at)


def sign_in(office: Office, at: datetime = WALL) -> sessions.Entry:
    return sessions.sign_in(office.engine, ADDRESS, PASSWORD, now=NOW, wall=at)


def test_codes_are_those_of_rfc_6238(office: Office) -> None:
    """Appendix B, SHA-1: the last six digits of its first value."""
    set_up(office)
    with office.work() as session:
        row = session.exec(select(SecondFactor)).one()
        row.secret, row.last_step = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 0
    prove(office, "287082", datetime(1970, 1, 1, 0, 0, 59, tzinfo=UTC))


def test_an_app_counts_once_it_has_shown_a_right_code(office: Office) -> None:
    with office.work() as session:
        second_factor.start(session, people.APPROVER, WALL)
    with office.work() as session, pytest.raises(WrongSecondFactor):
        second_factor.confirm(session, people.APPROVER, "000000", now=NOW, wall=WALL)
    with office.work() as session:
        assert not second_factor.is_on(session, PERSON)
        second_factor.start(session, people.APPROVER, WALL)  # again: the first secret is forgotten
    with office.work() as session:
        codes = second_factor.confirm(session, people.APPROVER, code(office), now=NOW, wall=WALL)
        assert second_factor.is_on(session, PERSON)
        assert session.exec(select(Person).where(Person.id == PERSON)).one().credentials_at == NOW
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    assert "second_factor.set_up" in office.system_facts()[-1]
    with office.work() as session, pytest.raises(AlreadySetUp):
        second_factor.start(session, people.APPROVER, WALL)
    with office.work() as session, pytest.raises(NotStarted):
        second_factor.enrolment(session, PERSON, ADDRESS, "Desk")


def test_what_the_app_is_shown_names_the_desk_and_the_person(office: Office) -> None:
    with office.work() as session:
        second_factor.start(session, people.APPROVER, WALL)
    with office.work() as session:
        shown = second_factor.enrolment(session, PERSON, ADDRESS, "SERVICEME license desk")
    assert shown.secret.replace(" ", "") == secret(office)
    read = pyotp.parse_uri(shown.uri)
    assert (read.secret, read.issuer, read.name) == (secret(office), "SERVICEME license desk", ADDRESS)


@pytest.mark.parametrize("late", [-1, 0, 1])
def test_a_clock_may_be_off_by_a_step(office: Office, late: int) -> None:
    set_up(office)
    prove(office, code(office, WALL + late * STEP))


@pytest.mark.parametrize("late", [-2, 2, 100])
def test_a_clock_may_not_be_off_by_more(office: Office, late: int) -> None:
    set_up(office)
    with pytest.raises(WrongSecondFactor):
        prove(office, code(office, WALL + late * STEP))


def test_a_code_is_good_once_and_ends_the_ones_before_it(office: Office) -> None:
    set_up(office)
    used, before = code(office), code(office, WALL - STEP)
    prove(office, f" {used[:3]} {used[3:]} ")
    for replayed in (used, before):
        with pytest.raises(WrongSecondFactor):
            prove(office, replayed)
    prove(office, code(office, WALL + STEP), WALL + STEP)


def test_of_two_requests_with_one_code_only_one_gets_in(office: Office) -> None:
    set_up(office)
    typed = code(office)

    def attempt(_: int) -> bool:
        try:
            prove(office, typed)
        except WrongSecondFactor:
            return False
        return True

    with ThreadPoolExecutor(4) as many:
        assert sorted(many.map(attempt, range(4))) == [False, False, False, True]


def test_guessing_is_stopped_and_the_right_code_waits_too(office: Office) -> None:
    set_up(office)
    for guessed in ("", "1", "\x00", "\ud800", "x" * 10_000):
        with pytest.raises(WrongSecondFactor):
            prove(office, guessed)
    with pytest.raises(SecondFactorThrottled, match="Try again in 15 min"):
        prove(office, code(office))
    later = WALL + second_factor.WINDOW
    prove(office, code(office, later), later)


def test_a_recovery_code_stands_in_once(office: Office) -> None:
    first, second, *_ = set_up(office)
    prove(office, first.lower().replace("-", " "))
    with pytest.raises(WrongSecondFactor):
        prove(office, first)
    prove(office, second)
    with office.work() as session:
        assert credentials.count_recovery_codes(session, PERSON) == second_factor.RECOVERY_CODES - 2
        kept = "".join(session.exec(select(RecoveryCode.code_hash)))
    assert first not in kept
    assert first.replace("-", "") not in kept


def test_new_recovery_codes_end_the_old_ones(office: Office) -> None:
    old, *_ = set_up(office)
    with office.work() as session:
        new, *_ = second_factor.renew_recovery_codes(session, people.APPROVER, NOW)
    with pytest.raises(WrongSecondFactor):
        prove(office, old)
    prove(office, new)


def test_a_recovery_code_is_its_owners(office: Office) -> None:
    other, *_ = set_up(office)
    with office.work() as session:
        second_factor.start(session, people.LEAD, WALL)
        theirs = session.exec(select(SecondFactor.secret).where(SecondFactor.person == people.LEAD.person_id)).one()
        second_factor.confirm(session, people.LEAD, pyotp.TOTP(theirs).at(WALL), now=NOW, wall=WALL)
    with pytest.raises(WrongSecondFactor):
        second_factor.prove(office.engine, people.id_of(people.LEAD), other, WALL)


def test_an_operator_takes_it_away_and_that_instant_is_kept(office: Office) -> None:
    set_up(office)
    later = NOW + timedelta(hours=1)
    with office.work() as session, pytest.raises(MissingRole):
        second_factor.turn_off(session, people.LIAISON, PERSON, later)
    with office.work() as session:
        second_factor.turn_off(session, people.OPERATOR, PERSON, later)
        second_factor.turn_off(session, people.OPERATOR, PERSON, later)  # none there is fine
    with office.work() as session:
        assert not second_factor.is_on(session, PERSON)
        assert session.exec(select(RecoveryCode)).all() == []
        assert session.exec(select(Person).where(Person.id == PERSON)).one().credentials_at == later
    assert sum("second_factor.turned_off" in each for each in office.system_facts()) == 1


# Signing in with it


def who(office: Office, token: str) -> Actor:
    with office.work() as session:
        return sessions.actor_for_session(session, token, now=NOW, wall=WALL)[0]


def test_the_password_alone_opens_nothing(office: Office) -> None:
    set_up(office)
    entry = sign_in(office)
    assert entry.waits_for_code
    with pytest.raises(SessionEnded):
        who(office, entry.token)
    assert not any("person.signed_in" in each for each in office.system_facts())
    with pytest.raises(WrongSecondFactor):
        sessions.enter_code(office.engine, entry.token, "000000", now=NOW, wall=WALL)
    opened = sessions.enter_code(office.engine, entry.token, code(office), now=NOW, wall=WALL)
    assert opened != entry.token
    assert who(office, opened).person_id == PERSON
    assert "person.signed_in" in office.system_facts()[-1]
    with pytest.raises(SessionEnded):
        sessions.enter_code(office.engine, entry.token, code(office, WALL + STEP), now=NOW, wall=WALL + STEP)


def test_a_promise_ends_after_ten_minutes_and_a_session_is_none(office: Office) -> None:
    set_up(office)
    promised = sign_in(office).token
    late = WALL + sessions.CODE_LIMIT
    with pytest.raises(SessionEnded):
        sessions.enter_code(office.engine, promised, code(office, late), now=NOW, wall=late)
    opened = sessions.enter_code(office.engine, sign_in(office).token, code(office), now=NOW, wall=WALL)
    for token in (opened, "guessed", ""):
        with pytest.raises(SessionEnded):
            sessions.enter_code(office.engine, token, code(office, WALL + STEP), now=NOW, wall=WALL + STEP)


def test_nobody_ends_somebody_elses_session(office: Office) -> None:
    set_up(office)
    sessions.enter_code(office.engine, sign_in(office).token, code(office), now=NOW, wall=WALL)
    with office.work() as session:
        row = session.exec(select(SignedIn).where(col(SignedIn.waits_for_code).is_(False))).one()
        with pytest.raises(NotFound):
            sessions.end_own(session, people.OPERATOR, row.id)
        sessions.end_own(session, people.APPROVER, row.id)
        assert credentials.sessions_of(session, PERSON, WALL) == []


# Voting on PROD with it


def asked(office: Office, environment: str, *, demand: bool) -> Asked:
    number = office.submitted(environment=environment)
    with office.work() as session:
        return confirming.asked_of(session, PERSON, office.application(number), demand_second_factor=demand)


def test_what_a_vote_asks_for_follows_environment_setting_and_person(office: Office) -> None:
    assert asked(office, "UAT", demand=True) == Asked()
    assert asked(office, "PROD", demand=False) == Asked(password=True)
    assert asked(office, "PROD", demand=True) == Asked(password=True, code=True, missing=True)
    set_up(office)
    for demand in (True, False):
        assert asked(office, "PROD", demand=demand) == Asked(password=True, code=True), "who has one always shows it"
    assert asked(office, "UAT", demand=True) == Asked()


def check(office: Office, asked: Asked, shown: Shown, at: datetime = WALL) -> None:
    confirming.check_password(office.engine, PERSON, asked, shown, at)


def test_the_password_is_compared_and_guessing_it_is_stopped(office: Office) -> None:
    set_up(office)
    wanted = Asked(password=True)
    for _ in range(second_factor.TRIES - 1):
        with pytest.raises(WrongPassword):
            check(office, wanted, Shown("wrong", ""))
    check(office, wanted, Shown(PASSWORD, ""))  # forgets them
    for _ in range(second_factor.TRIES):
        with pytest.raises(WrongPassword):
            check(office, wanted, Shown("", ""))
    with pytest.raises(SecondFactorThrottled):
        check(office, wanted, Shown(PASSWORD, ""))


def test_a_right_password_buys_no_more_guesses_at_the_code(office: Office) -> None:
    set_up(office)
    both = Asked(password=True, code=True)
    for _ in range(second_factor.TRIES):
        check(office, both, Shown(PASSWORD, "000000"))
        with office.work() as session, pytest.raises(WrongSecondFactor):
            confirming.use_code(session, PERSON, both, Shown(PASSWORD, "000000"), WALL)
    with pytest.raises(SecondFactorThrottled):
        check(office, both, Shown(PASSWORD, code(office)))


def test_who_has_to_show_a_second_factor_and_has_none_is_told_so(office: Office) -> None:
    with pytest.raises(SecondFactorMissing, match="Set up a second factor"):
        check(office, Asked(password=True, code=True, missing=True), Shown(PASSWORD, ""))


def test_a_vote_that_is_refused_costs_no_code(office: Office) -> None:
    set_up(office)
    both, shown = Asked(password=True, code=True), Shown(PASSWORD, code(office))

    def vote(session: Session, *, refused: bool) -> None:
        confirming.use_code(session, PERSON, both, shown, WALL)
        if refused:
            raise accounts.NameMissing("the vote was refused for a reason of its own")

    with pytest.raises(accounts.NameMissing), office.work() as session:
        vote(session, refused=True)
    with office.work() as session:
        vote(session, refused=False)
    with pytest.raises(WrongSecondFactor), office.work() as session:
        vote(session, refused=False)
