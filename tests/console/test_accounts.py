"""Local accounts: throttled sign-in, sessions that end, independent of any license."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from tests.console import vendor
from workflow.console import accounts
from workflow.console.accounts import ConsoleRole
from workflow.console.identity import Console
from workflow.database import reading, transaction
from workflow.errors import Invalid
from workflow.times import wall_now

NOW = wall_now()
MINUTE = timedelta(minutes=1)


@pytest.fixture
def people(console: Console) -> Console:
    with transaction(console.engine) as session:
        accounts.ensure_account(session, vendor.ADMIN, vendor.PASSWORD, ConsoleRole.ADMINISTRATOR, NOW)
    return console


def sign_in(console: Console, password: str = vendor.PASSWORD, at: datetime = NOW, **other: str) -> str:
    return accounts.sign_in(console.engine, other.get("address", vendor.ADMIN), password, other.get("network", "10.0.0.1"), at)


def who(console: Console, token: str, at: datetime) -> accounts.Person | None:
    with reading(console.engine) as session:
        return accounts.person_of(session, token, at)


def test_the_right_password_starts_a_session_whatever_the_case_of_the_address(people: Console) -> None:
    person = who(people, sign_in(people, address=" Wei.Zhang@Harbourline.example "), NOW)
    assert person is not None
    assert (person.address, person.name, person.initials) == (vendor.ADMIN, "Wei Zhang", "WZ")


def test_an_unknown_address_and_a_wrong_password_are_told_the_same(people: Console) -> None:
    said = set()
    for address in (vendor.ADMIN, "nobody@harbourline.example"):
        with pytest.raises(accounts.WrongCredentials) as refused:
            sign_in(people, "wrong password", address=address)
        said.add(str(refused.value))
    assert len(said) == 1


def test_after_five_failures_the_account_pauses_also_for_the_right_password(people: Console) -> None:
    for _ in range(5):
        with pytest.raises(accounts.WrongCredentials):
            sign_in(people, "wrong password")
    with pytest.raises(accounts.TooManyAttempts, match="1 min"):
        sign_in(people, network="10.9.9.9")
    assert sign_in(people, at=NOW + MINUTE)


def test_failures_noted_by_a_clock_far_ahead_close_nobody_out_once_it_is_right(people: Console) -> None:
    for _ in range(5):
        with pytest.raises(accounts.WrongCredentials):
            sign_in(people, "wrong password", at=NOW + timedelta(days=4_000))
    assert sign_in(people)


def test_a_session_begun_by_a_clock_far_ahead_ends_once_it_is_right(people: Console) -> None:
    token = sign_in(people, at=NOW + timedelta(days=4_000))
    with reading(people.engine) as session:
        assert accounts.person_of(session, token, NOW + timedelta(days=4_000))
        assert accounts.person_of(session, token, NOW) is None


@pytest.mark.usefixtures("passwords_at_full_cost")
def test_guesses_sent_at_once_do_not_get_around_the_pause(people: Console) -> None:
    def guess(number: int) -> str:
        try:
            sign_in(people, f"wrong password {number}", network=f"10.0.1.{number}")
        except accounts.TooManyAttempts:
            return "paused"
        except accounts.WrongCredentials:
            return "tried"
        return "in"

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(guess, range(12)))
    assert results.count("tried") == 5
    assert results.count("paused") == 7


def test_a_success_forgets_the_failures_of_the_account(people: Console) -> None:
    for _ in range(4):
        with pytest.raises(accounts.WrongCredentials):
            sign_in(people, "wrong password")
    sign_in(people)
    with pytest.raises(accounts.WrongCredentials):
        sign_in(people, "wrong password")


def test_sessions_end_when_idle_and_after_half_a_day(people: Console) -> None:
    token = sign_in(people)
    assert who(people, token, NOW + 59 * MINUTE)
    assert who(people, token, NOW + 61 * MINUTE) is None
    at = NOW
    while at < NOW + timedelta(hours=12):
        at += 50 * MINUTE
        with transaction(people.engine) as session:
            accounts.touch(session, token, at)
    assert who(people, token, at) is None


def test_signing_out_and_a_new_password_end_sessions(people: Console) -> None:
    first, second = sign_in(people), sign_in(people)
    with transaction(people.engine) as session:
        accounts.sign_out(session, first)
    assert who(people, first, NOW) is None
    with transaction(people.engine) as session:
        accounts.set_password(session, vendor.ADMIN, "another long password")
    assert who(people, second, NOW) is None
    assert sign_in(people, "another long password")


def test_the_database_holds_neither_passwords_nor_tokens(people: Console) -> None:
    token = sign_in(people)
    people.engine.dispose()
    content = b"".join(path.read_bytes() for path in people.directory.glob("console.sqlite3*"))
    assert vendor.ADMIN.encode() in content
    assert token.encode() not in content
    assert vendor.PASSWORD.encode() not in content


@pytest.mark.parametrize(("address", "password"), [("no address", vendor.PASSWORD), ("a@b.example", "short")])
def test_an_account_needs_an_address_and_a_long_password(console: Console, address: str, password: str) -> None:
    with transaction(console.engine) as session, pytest.raises(Invalid):
        accounts.ensure_account(session, address, password, ConsoleRole.ADMINISTRATOR, NOW)
