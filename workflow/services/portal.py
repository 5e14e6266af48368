"""The portal: how a recipient without a certificate gets the file. A page asks for a code, a second mail brings it.

Counts in wall-clock time. GET never changes anything; every step is in the history.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import applications, customers, deliveries, licenses, throttle
from workflow.db.tables import Application, IssuedLicense, PortalCode, PortalLink, Recipient, Tenant
from workflow.domain.application import Standing
from workflow.domain.delivery import Channel
from workflow.domain.events import Job, SystemFact
from workflow.domain.policy import Policy
from workflow.domain.roles import Actor, Role
from workflow.domain.terms import EnvironmentName
from workflow.errors import Forbidden, Invalid, NotFound, Problem, TooMany
from workflow.license_file.claims import CROCKFORD
from workflow.services.delivery import record_download
from workflow.services.secrets import hash_of

CODE_TTL = timedelta(minutes=10)
CODE_LENGTH = 8
TRIES_PER_CODE = 5
WRONG_CODES_CLOSE = 15
CODES_PER_HOUR = 3


class LinkUnknown(NotFound):
    """No such link, or it is closed or past its end. One answer for all, so that guessing tells nothing."""

    code = "portal.link_unknown"
    title = "This link does not work any more"

    def __init__(self) -> None:
        super().__init__("This link has ended or is not complete. Open it from the newest e-mail, or ask your license desk.")


class WrongCode(Invalid):
    """The code does not fit."""

    code = "portal.wrong_code"

    def __init__(self, left: int) -> None:
        again = f"{left} tries are left for it." if left else "Ask for a new code."
        message = f"This code is not right. {again}"
        super().__init__(message, [Problem("code", "wrong", message)])


class TooManyCodes(TooMany):
    """More codes asked for than an hour allows."""

    code = "portal.too_many_codes"


class SignInRequired(Forbidden):
    """The policy accepts no code for this environment."""

    code = "portal.sign_in_required"
    title = "Sign in to get this file"

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"Files for {environment} are handed to administrators who have signed in; a code is not enough. "
            "Sign in, or ask your license desk for an account."
        )


class NotThisTenant(Forbidden):
    """Signed in, but not as an administrator of this customer."""

    code = "portal.not_this_tenant"


@dataclass(frozen=True)
class Opened:
    """What a link leads to."""

    link: PortalLink
    issued: IssuedLicense
    application: Application
    recipient: Recipient
    tenant: Tenant
    environment: str


def open_link(session: Session, token: str, wall: datetime) -> Opened:
    """What the link leads to; changes nothing. Raises LinkUnknown."""
    link = deliveries.find_link(session, hash_of(token))
    if link is None or link.closed_at is not None or wall >= link.ends_at:
        raise LinkUnknown
    issued = licenses.get_license(session, link.license)
    if issued.standing in (Standing.REVOKED, Standing.SUPERSEDED):
        raise LinkUnknown
    environment, tenant = customers.environment_with_tenant(session, issued.environment)
    return Opened(
        link=link,
        issued=issued,
        application=applications.get_application_by_id(session, issued.application),
        recipient=customers.get_recipient(session, link.recipient),
        tenant=tenant,
        environment=environment.name,
    )


def takes_code(policy: Policy, opened: Opened) -> bool:
    """Whether a code is enough. Link and code reach the same mailbox: a policy may demand more for an environment."""
    return policy.delivery_to(EnvironmentName(opened.environment)).portal_code


def ask_for_code(
    session: Session, policy: Policy, token: str, browser: str, *, now: datetime, wall: datetime, network: str | None = None
) -> None:
    """Sends a one-time code to the recipient's mailbox, bound to the asking browser. Raises LinkUnknown, TooManyCodes,
    SignInRequired."""
    opened = open_link(session, token, wall)
    if not takes_code(policy, opened):
        raise SignInRequired(opened.environment)
    if throttle.count(session, f"portal:{opened.link.id}", timedelta(hours=1), wall) > CODES_PER_HOUR:
        raise TooManyCodes("Three codes an hour are sent for a link. Use the newest one, or wait.", retry_after=3600)
    code = "".join(secrets.choice(CROCKFORD) for _ in range(CODE_LENGTH))
    row = PortalCode(
        link=opened.link.id,
        code_hash=hash_of(f"{opened.link.id}:{code}"),
        code=code,
        browser_hash=hash_of(browser),
        ends_at=wall + CODE_TTL,
        created_at=wall,
    )
    session.add(row)
    session.flush()  # the job refers to it
    outbox.owe(session, Job.PORTAL_CODE, f"{Job.PORTAL_CODE.value}:{row.id}", ref=row.id, recipient=opened.recipient.id)
    who = _as_recipient(opened, network)
    outbox.record(session, SystemFact("portal.code_asked", str(opened.link.id), opened.recipient.address), who, now)


def check_code(session: Session, policy: Policy, token: str, browser: str, code: str, *, wall: datetime) -> bool:
    """Whether the code is right for this link and browser. Counts wrong ones, of which enough close the link; the caller
    commits either way. Raises LinkUnknown when the link is closed already, SignInRequired.
    """
    opened = open_link(session, token, wall)
    if not takes_code(policy, opened):
        raise SignInRequired(opened.environment)
    session.refresh(opened.link, with_for_update=True)  # one try after the other, or tries at once would count as one
    if opened.link.closed_at is not None:
        raise LinkUnknown
    given = code.strip().upper().replace(" ", "").replace("-", "").replace("O", "0").replace("I", "1").replace("L", "1")
    wanted = hash_of(f"{opened.link.id}:{given}")
    for row in deliveries.open_codes(session, opened.link.id, wall):
        if row.tries >= TRIES_PER_CODE or not hmac.compare_digest(row.browser_hash, hash_of(browser)):
            continue
        if hmac.compare_digest(row.code_hash, wanted):
            row.used_at = wall
            return True
        row.tries += 1
    opened.link.wrong_codes += 1
    if opened.link.wrong_codes >= WRONG_CODES_CLOSE:
        opened.link.closed_at = wall
    return False


def tries_left(session: Session, token: str, wall: datetime) -> int:
    """How often the newest code can still be tried. Never raises: the try that closed the link must be committed."""
    link = deliveries.find_link(session, hash_of(token))
    codes = deliveries.open_codes(session, link.id, wall) if link is not None and link.closed_at is None else ()
    return max(0, TRIES_PER_CODE - codes[0].tries) if codes else 0


def download(
    session: Session,
    policy: Policy,
    token: str,
    *,
    actor: Actor | None,
    now: datetime,
    wall: datetime,
    network: str | None = None,
) -> Opened:
    """The file, for someone who entered the code (`actor` None) or signed in as an administrator of this customer.

    A download is proof of delivery. Raises LinkUnknown, NotThisTenant, SignInRequired.
    """
    opened = open_link(session, token, wall)
    if actor is None and not takes_code(policy, opened):
        raise SignInRequired(opened.environment)
    if actor is not None and (Role.ADMINISTRATOR not in actor.roles or actor.tenant != opened.tenant.id):
        raise NotThisTenant(f"Sign in as an administrator of {opened.tenant.company}, or ask for a code.")
    opened.link.downloaded_at = wall
    delivery = deliveries.get_delivery(session, opened.link.delivery)
    delivery.downloaded_at = now
    session.flush()  # the message's row before the application's, as everybody takes them: else two could wait for each other
    record_download(session, actor or _as_recipient(opened, network), policy, opened.application, Channel.PORTAL, now)
    return opened


def _as_recipient(opened: Opened, network: str | None) -> Actor:
    return Actor(name=opened.recipient.name, channel="portal", network=network)
