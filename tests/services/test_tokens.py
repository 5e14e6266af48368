"""Personal API tokens: they speak for their person until they end."""

from datetime import timedelta

import pytest
from sqlmodel import select

from tests import people
from tests.builders import NOW, Office
from workflow.db.queries import people as people_queries
from workflow.db.tables import ApiToken, JobRow
from workflow.domain.roles import Actor, MissingRole, MissingScope, Permission, Scope, may, require, system, useful_scopes
from workflow.errors import Invalid, NotFound
from workflow.services import accounts, tokens
from workflow.services.secrets import hash_of
from workflow.services.tokens import TokenRefused
from workflow.times import wall_now

WALL = wall_now()


def make_token(office: Office, days: int = 30, name: str = "nightly", actor: Actor = people.LIAISON) -> tuple[str, ApiToken]:
    with office.work() as session:
        return tokens.make_token(session, actor, name, days, scopes=Scope, now=NOW, wall=WALL)


def bearer(office: Office, token: str, days: float = 0) -> Actor:
    with office.work() as session:
        return tokens.actor_for_token(session, token, now=NOW, wall=WALL + timedelta(days=days))[0]


def test_a_token_speaks_for_its_person_through_the_api(office: Office) -> None:
    token, row = make_token(office)
    actor = bearer(office, token)
    assert (actor.person_id, actor.roles, actor.channel) == (people.LIAISON.person_id, people.LIAISON.roles, "api")
    assert token.startswith("licdesk_")
    assert (row.token_hash, row.hint) == (hash_of(token), token[-4:])
    assert "token.made" in office.system_facts()[-1]
    assert token not in office.system_facts()[-1]


def test_a_token_that_the_installation_comes_with_is_in_the_history_and_no_letter_warns_of_it(office: Office) -> None:
    with office.work() as session:
        person = people_queries.get_person(session, people.id_of(people.LIAISON))
        token = tokens.provide_token(session, system("set-up"), person, "demo", 30, scopes=Scope, now=NOW, wall=WALL)
        assert session.exec(select(JobRow)).all() == []
    assert bearer(office, token).person_id == people.LIAISON.person_id
    assert "demo for lin.mei@serviceme.example" in office.system_facts()[-1]


def test_a_token_ends_on_its_day(office: Office) -> None:
    token, _ = make_token(office, days=1)
    bearer(office, token, days=0.99)
    with pytest.raises(TokenRefused):
        bearer(office, token, days=1)


def test_a_revoked_token_an_unknown_one_and_a_disabled_persons_answer_alike(office: Office) -> None:
    (revoked, row), (disabled, _) = make_token(office), make_token(office, actor=people.APPROVER)
    with office.work() as session:
        tokens.revoke_token(session, people.LIAISON, row.id, now=NOW, wall=WALL)
        accounts.disable_person(session, people.OPERATOR, people.id_of(people.APPROVER), now=NOW, wall=wall_now())
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
            tokens.revoke_token(session, people.LIAISON, row.id, now=NOW, wall=WALL)
    assert len([each for each in office.system_facts() if "token.revoked" in each]) == 1


def test_nobody_revokes_somebody_elses_token(office: Office) -> None:
    token, row = make_token(office)
    with office.work() as session, pytest.raises(NotFound):
        tokens.revoke_token(session, people.OPERATOR, row.id, now=NOW, wall=WALL)
    bearer(office, token)


@pytest.mark.parametrize(
    ("name", "days", "fields"),
    [("", 30, ["name"]), ("  ", 0, ["name", "days"]), ("x" * 101, 30, ["name"]), ("ok", 367, ["days"])],
)
def test_a_token_without_a_name_or_an_end_is_not_made(office: Office, name: str, days: int, fields: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        make_token(office, days, name)
    assert [each.field for each in refused.value.problems] == fields


# Scopes

OPERATOR_READS = {Permission.READ_ALL, Permission.READ_AUDIT, Permission.READ_OPERATIONS}


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ((), OPERATOR_READS),
        ((Scope.DOWNLOAD,), {*OPERATOR_READS, Permission.DOWNLOAD_FILE}),
        (
            (Scope.OPERATE, Scope.DECIDE),
            {*OPERATOR_READS, Permission.OPERATE},
        ),
    ],
)
def test_a_token_may_what_its_scopes_and_its_persons_roles_both_allow(
    office: Office, scopes: tuple[Scope, ...], allowed: set[Permission]
) -> None:
    with office.work() as session:
        token, _ = tokens.make_token(session, people.OPERATOR, "job", 30, scopes=scopes, now=NOW, wall=WALL)
    actor = bearer(office, token)
    assert {each for each in Permission if may(actor, each)} == allowed


def test_a_refusal_says_whether_the_role_or_the_scope_is_missing(office: Office) -> None:
    with office.work() as session:
        token, _ = tokens.make_token(session, people.OPERATOR, "job", 30, scopes=(), now=NOW, wall=WALL)
    actor = bearer(office, token)
    with pytest.raises(MissingScope, match="lacks the scope operate"):
        require(actor, Permission.OPERATE)
    with pytest.raises(MissingRole, match="needs the role approver"):
        require(actor, Permission.DECIDE)


def test_only_useful_scopes_are_offered() -> None:
    offered = {actor.name: useful_scopes(actor.roles) for actor in (people.LIAISON, people.APPROVER, people.AUDITOR)}
    assert offered == {
        "Lin Mei": (Scope.APPLY, Scope.CUSTOMERS, Scope.DOWNLOAD, Scope.DELIVER),
        "Daniel Osei": (Scope.DECIDE,),
        "Greta Holm": (),
    }
    assert useful_scopes(people.OPERATOR.roles) == (Scope.CUSTOMERS, Scope.DOWNLOAD, Scope.DELIVER, Scope.OPERATE)
    assert useful_scopes(people.STRANGER.roles) == ()
