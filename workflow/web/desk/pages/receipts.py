"""A receipt that came as a file, from a platform with no way to this desk: handed in on the page of its license."""

from fastapi import APIRouter
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import Response

from workflow.database import reading, transaction
from workflow.db.queries import directory
from workflow.license_file import LicenseRefused
from workflow.services import receipts
from workflow.times import utc_now
from workflow.web.desk.access import House, Inside, SignedIn
from workflow.web.shared.answers import go_on
from workflow.web.shared.flash import FlashKind
from workflow.web.shared.forms import Posted, Upload

ACCEPTED = ".lrc"
NOT_OURS = (
    "This receipt is not kept: it is not about a license of this desk and its environment, or this desk has another one under "
    "its number already. Ask the administrator for the receipt of the license that was sent."
)

router = APIRouter()


@router.post("/licenses/{license_id}/receipts")
def take(request: Request, house: Inside, me: SignedIn, license_id: str, form: Posted) -> Response:
    """Takes the file in. Its signature is the credential: who carries it here vouches for nothing, and is in the history."""
    with reading(house.engine) as session:
        directory.versions_visible_to(session, me.actor, license_id)
    sent = form.upload("receipt")
    kind, words = (FlashKind.WARN, f"Choose the {ACCEPTED} file first.") if sent is None else _kept(house, me, sent)
    return go_on(request, f"/licenses/{license_id}", words, kind)


def _kept(house: House, me: SignedIn, sent: Upload) -> tuple[FlashKind, str]:
    try:
        with transaction(house.engine) as session:
            receipt = receipts.hand_in(session, me.actor, sent.content, utc_now())
            if receipt is None:
                return FlashKind.WARN, NOT_OURS
            outcome, event = receipt.outcome, receipt.event
    except LicenseRefused as refused:
        return FlashKind.BAD, f"This receipt can't be used. {refused}"
    except IntegrityError:
        return FlashKind.INFO, "This receipt arrived by another way at the same moment. Nothing more has to be done."
    if outcome == "waiting":
        return FlashKind.INFO, (
            "The receipt is kept. It counts once an operator has confirmed the fingerprint of its installation (Operations)."
        )
    return FlashKind.OK, f"The receipt is kept and counts: {event}."
