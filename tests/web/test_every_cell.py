"""Every role at every door of an application in every status: each cell is allowed or refused as the two tables say."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response
from sqlalchemy import update
from sqlmodel import col

from tests.web.api import BASE, Program, terms
from tests.web.conftest import PASSWORD_HASH
from tests.web.desk import ORIGIN, Browser
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.tables import Application
from workflow.domain.application import TRANSITIONS, Action, Status
from workflow.domain.approvals import Choice
from workflow.domain.roles import PERMISSIONS, Permission, Role, system
from workflow.services import accounts
from workflow.times import wall_now
from workflow.web.shared import csrf

OWNER, DECIDED = "liaison", "approver"
"""Who applied, and who has approved the revision already."""
PEOPLE: dict[str, Role | None] = {
    OWNER: Role.LIAISON,
    "liaison2": Role.LIAISON,
    DECIDED: Role.APPROVER,
    "approver2": Role.APPROVER,
    "operator": Role.OPERATOR,
    "auditor": Role.AUDITOR,
    "administrator": Role.ADMINISTRATOR,
    "stranger": None,
}
VOTES = {
    Choice.APPROVE: Action.APPROVE,
    Choice.REQUEST_CHANGES: Action.REQUEST_CHANGES,
    Choice.REJECT: Action.REJECT,
}


def anybody(_who: str) -> bool:
    return True


@dataclass(frozen=True)
class Door:
    """One address and what is sent to it. Who has none of `permissions` gets 403; whoever may not know of the application, 404;
    then `only` narrows to some people, and `actions` to the statuses from which one of them leads on.
    """

    method: str
    path: str
    permissions: frozenset[Permission]
    only: Callable[[str], bool] = anybody
    actions: tuple[Action, ...] = ()
    body: Callable[[Application], dict[str, Any]] = lambda _application: {}
    done: int = 200
    vote: bool = False

    def expected(self, who: str, status: Status) -> int:
        """How this person is answered in this status."""
        role = PEOPLE[who]
        has = PERMISSIONS[role] if role else frozenset()
        if has.isdisjoint(self.permissions):
            return 403
        if who != OWNER and Permission.READ_ALL not in has:
            return 404
        if not self.only(who):
            return 403
        if self.actions and not any((status, each) in TRANSITIONS for each in self.actions):
            return 409
        return 409 if self.vote and who == DECIDED else self.done

    def target(self, status: Status) -> Status:
        """Where it leads from this status."""
        return next((TRANSITIONS[status, each] for each in self.actions if (status, each) in TRANSITIONS), status)


def may(*permissions: Permission) -> frozenset[Permission]:
    return frozenset(permissions)


def is_owner(who: str) -> bool:
    return who == OWNER


def can_take_back(who: str) -> bool:
    return who in (DECIDED, "operator")


def shown(application: Application) -> dict[str, Any]:
    """What every form of the application carries."""
    return {"version": str(application.version), "revision": str(application.revision), "comment": "Because."}


def form_of_vote(choice: Choice, application: Application) -> dict[str, Any]:
    return shown(application) | {"decision": choice.value}


def vote_of(choice: Choice, application: Application) -> dict[str, Any]:
    return {"choice": choice.value, "revision": application.revision, "comment": "Because."}


READ = may(Permission.READ_ALL, Permission.READ_OWN)
APPLY, DECIDE = may(Permission.APPLY), may(Permission.DECIDE)
HAND_IN = (Action.SUBMIT, Action.REVISE)

PAGES = (
    Door("GET", "/applications/{number}", READ),
    Door("GET", "/approvals/{number}", DECIDE | may(Permission.READ_ALL)),
    *(
        Door("POST", "/approvals/{number}", DECIDE, anybody, (action,), partial(form_of_vote, choice), done=303, vote=True)
        for choice, action in VOTES.items()
    ),
    Door("POST", "/applications/{number}/submit", APPLY, is_owner, HAND_IN, shown, done=303),
    Door("POST", "/applications/{number}/withdraw", APPLY, is_owner, (Action.WITHDRAW,), shown, done=303),
    Door("POST", "/applications/{number}/rescind", READ, can_take_back, (Action.RESCIND,), shown, done=303),
)
API = (
    Door("GET", "/applications/{number}", READ),
    Door("GET", "/applications/{number}/votes", READ),
    Door("GET", "/applications/{number}/events", READ),
    *(
        Door(
            "POST",
            "/applications/{number}/votes",
            DECIDE,
            actions=(action,),
            body=partial(vote_of, choice),
            done=201,
            vote=True,
        )
        for choice, action in VOTES.items()
    ),
    Door("PUT", "/applications/{number}", APPLY, is_owner, HAND_IN, lambda _: terms()),
    Door("POST", "/applications/{number}/withdraw", APPLY, is_owner, (Action.WITHDRAW,), lambda _: {"comment": "Because."}),
)


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """One database is enough: who may do what is decided before it is asked."""
    shutil.copyfile(sqlite_template, tmp_path / "desk.sqlite3")
    return f"sqlite:///{tmp_path}/desk.sqlite3"


@dataclass
class Board:
    """An application that one approver has approved, put into any status by hand and back again."""

    company: Company
    number: str
    file: Path
    wrong: list[str] = field(default_factory=list)

    def try_all(self, doors: tuple[Door, ...], knock: Callable[[str, Door, Application], Response]) -> None:
        """Tries every cell, and lists those that are answered in another way than the tables say."""
        with closing(sqlite3.connect(self.file)) as here, closing(sqlite3.connect(":memory:")) as kept:
            here.backup(kept)
            for door in doors:
                for status in Status:
                    for who in PEOPLE:
                        self._try(door, status, who, knock)
                        kept.backup(here)

    def _try(self, door: Door, status: Status, who: str, knock: Callable[[str, Door, Application], Response]) -> None:
        with transaction(self.company.engine) as session:
            session.execute(update(Application).where(col(Application.number) == self.number).values(status=status.value))
        answer = knock(who, door, self.company.application(self.number))
        expected = door.expected(who, status)
        after = Status(self.company.application(self.number).status)
        target = door.target(status) if expected == door.done else status
        if (answer.status_code, after) != (expected, target):
            cell = f"{who} {door.method} {door.path} {door.actions[:1]} when {status.value}"
            self.wrong.append(f"{cell}: {answer.status_code} {after.value}, not {expected} {target.value}")


@pytest.fixture
def board(app: FastAPI, company: Company, tmp_path: Path) -> Board:
    number = company.apply(environment="UAT")
    company.approve(number)
    with transaction(company.engine) as session:
        accounts.add_person(
            session,
            system("set-up"),
            email="liaison2@serviceme.example",
            name="Jonas Weber",
            roles=[Role.LIAISON],
            password=None,
            now=wall_now() - timedelta(days=1),
        ).password_hash = PASSWORD_HASH
    return Board(company, number, tmp_path / "desk.sqlite3")


@pytest.mark.timeout(300)
def test_every_page_answers_every_role_in_every_status_as_the_tables_say(
    board: Board, browser: Callable[[str], Browser]
) -> None:
    browsers = {who: browser(who) for who in PEOPLE}

    def knock(who: str, door: Door, application: Application) -> Response:
        client, address = browsers[who].client, door.path.format(number=board.number)
        if door.method == "GET":
            return client.get(address)
        signed = {"csrf": csrf.token_for(str(client.cookies.get("desk_session")))}
        return client.post(address, data=signed | door.body(application), headers={"Origin": ORIGIN}, follow_redirects=False)

    board.try_all(PAGES, knock)
    assert board.wrong == []


@pytest.mark.timeout(300)
def test_the_api_answers_every_role_in_every_status_as_the_tables_say(board: Board, program: Callable[[str], Program]) -> None:
    programs = {who: program(who) for who in PEOPLE}

    def knock(who: str, door: Door, application: Application) -> Response:
        address = f"{BASE}{door.path.format(number=board.number)}"
        headers = {"Authorization": f"Bearer {programs[who].token}"}
        if door.method == "PUT":
            headers["If-Match"] = f'"{application.version}"'
        body = None if door.method == "GET" else door.body(application)
        answer: Response = programs[who].client.request(door.method, address, json=body, headers=headers)
        return answer

    board.try_all(API, knock)
    assert board.wrong == []
