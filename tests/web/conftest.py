"""The desk's pages on a company whose tasks are real: what a page shows was made by services and workers."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI

from tests.web.api import Program
from tests.web.desk import ORIGIN, PASSWORD, Browser
from tests.workers.company import Company, url_as
from tests.workers.conftest import company, issuer_keys, mail_keys
from workflow.database import transaction
from workflow.db.powers import Power
from workflow.db.queries import customers as customer_queries
from workflow.db.queries import people
from workflow.domain.roles import Role, system
from workflow.services import accounts
from workflow.services.secrets import hash_password
from workflow.settings import DeskSettings, Mode
from workflow.times import wall_now
from workflow.web.desk.app import create_app

__all__ = ["company", "issuer_keys", "mail_keys"]

PASSWORD_HASH = hash_password(PASSWORD)
OTHERS = (
    ("approver2", "Sofia Marin", Role.APPROVER),
    ("auditor", "Ada Boye", Role.AUDITOR),
    ("administrator", "Zhang Wei", Role.ADMINISTRATOR),
)


@pytest.fixture
def app(company: Company) -> Iterator[FastAPI]:
    """The desk's application on the company's database; everybody has the test password."""
    with transaction(company.engine) as session:
        tenant = customer_queries.get_tenant(session, "T-20817")
        for email, name, role in OTHERS:
            accounts.add_person(
                session,
                system("set-up"),
                email=f"{email}@serviceme.example",
                name=name,
                roles=[role],
                password=None,
                now=wall_now() - timedelta(days=1),
                tenant=tenant.id if role is Role.ADMINISTRATOR else None,
            )
        accounts.add_person(
            session,
            system("set-up"),
            email="stranger@serviceme.example",
            name="Nobody Special",
            roles=[],
            password=None,
            now=wall_now() - timedelta(days=1),
        )
        for person in people.all_people(session):
            person.password_hash = PASSWORD_HASH
    settings = DeskSettings(
        mode=Mode.DEMO,
        database_url=url_as(Power.WEB, company.engine),
        public_url=ORIGIN,
        secure_cookies=False,
        second_factor_for_prod=False,
        mail_ca=company.here.settings.mail_ca,
    )
    made = create_app(settings)
    yield made
    made.state.house.engine.dispose()


@pytest.fixture
def browser(app: FastAPI) -> Callable[[str], Browser]:
    """Opens a browser signed in as somebody: liaison, approver, approver2, operator, auditor, administrator, stranger."""

    def opened(who: str) -> Browser:
        made = Browser.on(app)
        answer = made.sign_in(f"{who}@serviceme.example")
        assert answer.status_code == 200, answer.text
        return made

    return opened


@pytest.fixture
def program(app: FastAPI) -> Callable[[str], Program]:
    """A program with somebody's token: liaison, approver, approver2, operator, auditor, administrator, stranger."""
    return lambda who: Program.of(app, who)
