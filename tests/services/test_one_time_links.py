"""Links with which people choose a password: once, for a day, and nothing about who exists."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from tests import people
from tests.builders import NOW, Office
from workflow.db.tables import JobRow, OneTimeLink, Person, SignedIn
from workflow.domain.events import Job
from workflow.domain.roles import Actor, MissingRole
from workflow.services import accounts, one_time_links, sessions
from workflow.services.accounts import PasswordTooShort
from workflow.services.one_time_links import LINK_TTL, LinkEnded, PersonDisabled
from workflow.services.secrets import hash_of
from workflow.times import wall_now

PERSON, ADDRESS, PASSWORD = people.id_of(people.APPROVER), people.STAFF[1].email, "correct horse battery staple"
WALL = wall_now()
LATER = NOW + timedelta(hours=1)


def make_link(office: Office) -> str:
    with office.work() as session:
        return one_time_links.make_link(session, people.OPERATOR, PERSON, now=NOW, wall=WALL)


def choose(office: Office, token: str, hours: float = 0, password: str = PASSWORD) -> None:
    one_time_links.choose_password(office.engine, token, password, now=LATER, wall=WALL + timedelta(hours=hours))


def person(office: Office) -> Person:
    with office.work() as session:
        return session.exec(select(Person).where(Person.id == PERSON)).one()


def sign_in(office: Office) -> str:
    return sessions.sign_in(office.engine, ADDRESS, PASSWORD, now=NOW, wall=WALL).token


def owed(office: Office) -> list[JobRow]:
    with office.work() as session:
        return list(session.exec(select(JobRow).where(JobRow.kind == Job.ONE_TIME_LINK.value)))


def test_a_link_gives_a_password_once(office: Office) -> None:
    token = make_link(office)
    choose(office, token)
    sign_in(office)
    assert person(office).credentials_at == LATER
    facts = office.system_facts()
    assert "person.invited" in facts[-3]
    assert "person.password_set" in facts[-2]
    assert token not in "".join(facts)
    with pytest.raises(LinkEnded):
        choose(office, token)
    with office.work() as session:
        assert session.exec(select(OneTimeLink.token_hash)).one() == hash_of(token)


def test_choosing_anew_ends_every_session(office: Office) -> None:
    choose(office, make_link(office))
    sign_in(office)
    choose(office, make_link(office), password="another long password")
    with office.work() as session:
        assert session.exec(select(SignedIn)).all() == []
    assert "person.reset_link_made" in "".join(office.system_facts()), "somebody with a password is not invited"


def test_a_link_ends_after_a_day(office: Office) -> None:
    token = make_link(office)
    with pytest.raises(LinkEnded):
        choose(office, token, hours=LINK_TTL.total_seconds() / 3600)
    choose(office, token, hours=23.9)


def test_a_short_password_leaves_the_link_as_it_is(office: Office) -> None:
    token = make_link(office)
    with pytest.raises(PasswordTooShort):
        choose(office, token, password="elevenchars")
    choose(office, token)


def test_a_new_link_ends_the_one_before_and_a_used_one_ends_all(office: Office) -> None:
    first, second = make_link(office), make_link(office)
    with pytest.raises(LinkEnded):
        choose(office, first)
    with office.work() as session:
        one_time_links.forgot(session, ADDRESS, now=NOW, wall=WALL)
    (job,) = owed(office)
    assert job.ref is not None
    third = one_time_links.write_token(office.engine, job.ref)
    choose(office, second)  # asking on the sign-in page ends nobody's link
    with pytest.raises(LinkEnded):
        choose(office, third)


@pytest.mark.parametrize("token", ["", "guessed", "\x00", "\ud800", "x" * 5_000])
def test_a_guessed_link_is_an_ended_one(office: Office, token: str) -> None:
    make_link(office)
    with pytest.raises(LinkEnded):
        choose(office, token)


def test_a_link_whose_letter_is_not_written_cannot_be_opened(office: Office) -> None:
    with office.work() as session:
        one_time_links.invite(session, people.OPERATOR, PERSON, now=NOW, wall=WALL)
    with office.work() as session:
        assert session.exec(select(OneTimeLink.token_hash)).one() is None
    assert len(owed(office)) == 1
    for token in ("", "None"):
        with pytest.raises(LinkEnded):
            choose(office, token)


@pytest.mark.parametrize("actor", [people.LIAISON, people.APPROVER, people.AUDITOR], ids=lambda each: each.name)
def test_only_operators_make_links(office: Office, actor: Actor) -> None:
    with office.work() as session:
        for make in (one_time_links.make_link, one_time_links.invite):
            with pytest.raises(MissingRole):
                make(session, actor, PERSON, now=NOW, wall=WALL)


def test_who_left_gets_no_link_and_the_ones_sent_end(office: Office) -> None:
    token = make_link(office)
    with office.work() as session:
        accounts.disable_person(session, people.OPERATOR, PERSON, now=NOW, wall=WALL)
    with pytest.raises(LinkEnded):
        choose(office, token)
    with office.work() as session, pytest.raises(PersonDisabled):
        one_time_links.make_link(session, people.OPERATOR, PERSON, now=NOW, wall=WALL)
    with office.work() as session:
        one_time_links.forgot(session, ADDRESS, now=NOW, wall=WALL)
    assert owed(office) == []


def test_asking_tells_nothing_and_is_limited(office: Office) -> None:
    for email in ("nobody@serviceme.example", "\x00", "\ud800", ""):
        with office.work() as session:
            one_time_links.forgot(session, email, now=NOW, wall=WALL)
    assert owed(office) == []
    for _ in range(one_time_links.RESETS_PER_HOUR + 2):
        with office.work() as session:
            one_time_links.forgot(session, f" {ADDRESS.upper()} ", now=NOW, wall=WALL)
    assert len(owed(office)) == one_time_links.RESETS_PER_HOUR


def test_a_link_is_opened_without_being_used(office: Office) -> None:
    token = make_link(office)
    for _ in range(3):
        with office.work() as session:
            assert one_time_links.open_link(session, token, WALL)[1].id == PERSON
    with office.work() as session:
        assert len(session.exec(select(OneTimeLink).where(col(OneTimeLink.used_at).is_(None))).all()) == 1
