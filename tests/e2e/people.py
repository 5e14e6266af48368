"""The demo's people at work without a browser: forms sent over HTTP to the running servers."""

import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import httpx
from sqlmodel import col, select

from tests.e2e.conftest import House
from tests.web.desk import Browser
from workflow.cli import cast
from workflow.cli.cast import DemoPerson
from workflow.database import transaction
from workflow.db.tables import Application, Delivery, IssuedLicense, JobRow
from workflow.domain.terms import EnvironmentName

T = TypeVar("T")
LICENSE_PAGE = "/console/license"


def eventually(look: Callable[[], T], what: str, within: float = 60) -> T:
    """What `look` finds once it finds something. Fails when nothing was found in time."""
    until = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < until, f"not within {within:.0f} s: {what}"
        time.sleep(0.05)
    return found


def today() -> date:
    """The first day of a license that is valid at once: in the customer's zone this day has begun or is over."""
    return datetime.now(UTC).date()


def at_the_desk(house: House, person: DemoPerson) -> Browser:
    """A browser signed in at the desk."""
    browser = _browser(house.stack.urls["desk"])
    browser.sign_in(person.email, house.password)
    assert browser.page is not None
    assert browser.page.url.path == "/", browser.words
    return browser


def at_the_console(house: House) -> Browser:
    """The administrator's browser, signed in at License Management."""
    browser = _browser(house.stack.urls["console"])
    browser.open(LICENSE_PAGE)
    browser.send("/console/sign-in", email=cast.ADMINISTRATOR.email, password=house.password)
    assert "Upload License" in browser.words
    return browser


def apply_for(house: House, environment: EnvironmentName) -> str:
    """The liaison's application for a year from today, to every recipient, reviewed and submitted; returns its number."""
    liaison = at_the_desk(house, cast.LIAISON)
    page = liaison.open(f"/applications/new?tenant={cast.TENANT_ID}").text
    offered = re.search(rf'name="environment"[^>]*value="({environment}-[^"]+)"', page)
    assert offered, page
    liaison.send(
        "/applications/new",
        environment=offered[1],
        modules=["agent-studio", "workflow"],
        model_types=["chat"],
        agents="120",
        users="800",
        first_day=today().isoformat(),
        last_day=(today() + timedelta(days=364)).isoformat(),
        duration="dates",
        recipients=[each.email for each in cast.RECIPIENTS],
        action="continue",
    )
    assert liaison.page is not None
    found = re.search(r"/applications/([^/]+)/review$", str(liaison.page.url))
    assert found, liaison.words
    liaison.send(f"/applications/{found[1]}/submit")
    assert "Submitted. The approvers were told by e-mail." in liaison.words
    return found[1]


def approve(house: House, number: str) -> None:
    """The approver's yes."""
    approver = at_the_desk(house, cast.APPROVER)
    approver.open(f"/approvals/{number}")
    approver.send(f"/approvals/{number}", decision="approve")
    assert f"Approved: {number}." in approver.words


def upload_and_activate(house: House, raw: bytes) -> None:
    """The administrator's part at License Management."""
    administrator = at_the_console(house)
    administrator.open(LICENSE_PAGE)
    page = administrator.send(f"{LICENSE_PAGE}/uploads", {"file": ("license.lic", raw)}, text="")
    found = re.search(r'action="([^"]+/activate)"', page.text)
    assert found, administrator.words
    administrator.send(found[1])
    assert "is active" in administrator.words


def status(house: House, number: str) -> str:
    """Where the application stands in the database."""
    with transaction(house.engine) as session:
        return session.exec(select(Application.status).where(Application.number == number)).one()


def licenses_of(house: House, number: str) -> list[IssuedLicense]:
    """Every license row that an application led to."""
    with transaction(house.engine) as session:
        chosen = select(IssuedLicense).join(Application, col(Application.id) == IssuedLicense.application)
        return list(session.exec(chosen.where(Application.number == number)))


def deliveries_of(house: House, number: str) -> list[Delivery]:
    """Every message that carries an application's license or the link to it."""
    (issued,) = licenses_of(house, number)
    with transaction(house.engine) as session:
        return list(session.exec(select(Delivery).where(Delivery.license == issued.id)))


def jobs(house: House, kind: str, state: str) -> list[JobRow]:
    """The jobs of a kind in a state."""
    with transaction(house.engine) as session:
        return list(session.exec(select(JobRow).where(JobRow.kind == kind, JobRow.state == state)))


def mail(house: House) -> list[dict[str, Any]]:
    """Everything in the inbox, newest first, without the files."""
    listed: list[dict[str, Any]] = _browser(house.stack.urls["inbox"]).open("/api/messages").json()
    return listed


def _browser(address: str) -> Browser:
    # A server that was killed is away for a moment: connecting is tried again, a request that was sent is not.
    transport = httpx.HTTPTransport(retries=6)
    return Browser(httpx.Client(base_url=address, transport=transport, follow_redirects=True, timeout=30))
