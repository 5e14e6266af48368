"""Uploads: each refusal with its code and no unverified content, staged files for one person, half an hour, once."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from tests.console import vendor
from tests.console.acting import activate, activated, look, staged, taken_in
from workflow.console import install, receipts, uploads
from workflow.console.identity import Console
from workflow.console.store import OutgoingReceipt, RefusedUpload, StagedUpload
from workflow.database import reading, transaction
from workflow.license_file import (
    LICENSE_TYPE,
    BindingMode,
    Bindings,
    Environment,
    Licensee,
    ReceiptClaims,
    ReceiptEvent,
    sign_document,
    verify_receipt,
)
from workflow.times import utc_now, wall_now


def flipped(raw: bytes) -> bytes:
    """One character of the payload changed: still a complete file."""
    at = raw.index(b'"payload": "') + 40
    return raw[:at] + (b"A" if raw[at : at + 1] != b"A" else b"B") + raw[at + 1 :]


BAD_FILES = {
    "empty": (b"", "DAMAGED"),
    "text": (b"Dear customer, attached please find", "DAMAGED"),
    "cut off": (vendor.lic()[:-300], "DAMAGED"),
    "too large": (b" " * 131_073, "TOO_LARGE"),
    "changed": (flipped(vendor.lic()), "BAD_SIGNATURE"),
    "unknown key": (vendor.lic(key="a stranger"), "UNKNOWN_KEY"),
    "another document": (vendor.root(), "WRONG_TYPE"),
    "newer format": (
        sign_document("application/vnd.serviceme.license.v2+json", b"{}", [vendor.signer("issuer-prod")]),
        "NEEDS_NEWER_PLATFORM",
    ),
    "another tenant": (vendor.lic(licensee=Licensee("T-1", "Someone Else Ltd.")), "WRONG_TENANT"),
    "another environment": (
        vendor.lic(key="issuer-uat", environment=Environment.UAT, license_id="UAT-7Q2MX-4TBK9-HZ0CE"),
        "WRONG_ENVIRONMENT",
    ),
    "another installation": (vendor.lic(bindings=Bindings(BindingMode.INSTALLATION, ("another",))), "WRONG_INSTALLATION"),
    "called back": (vendor.lic(2, revocations=vendor.lrl(1, 2)), "REVOKED"),
    "called back by a stranger": (vendor.lic(2, revocations=vendor.lrl(1, 2, key="a stranger")), "UNTRUSTED_REVOCATIONS"),
    "a root of a stranger inside": (vendor.lic(2, roots=(vendor.root(vendor.root_payload(3)),)), "UNTRUSTED_ROOT"),
    "signed rubbish": (sign_document(LICENSE_TYPE, b'{"type": "license"}', [vendor.signer("issuer-prod")]), "MALFORMED"),
    "a key that was dropped": (
        vendor.lic(2, roots=(vendor.root(vendor.root_payload(2, without=("issuer-prod",))),)),
        "KEY_RETIRED",
    ),
    "ended": (vendor.lic(3, starts=timedelta(days=-400), lasts=timedelta(days=30)), "EXPIRED"),
}


@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_bad_file_is_refused_with_its_code_and_the_license_in_force_stays(console: Console, bad: str) -> None:
    activated(console, vendor.lic(1))
    raw, code = BAD_FILES[bad]
    outcome = taken_in(console, raw)
    assert isinstance(outcome, RefusedUpload)
    assert outcome.code == code
    assert outcome.message.endswith(".")
    situation = look(console)
    assert situation.generation == 1
    assert situation.current is not None
    assert situation.current.row.version == 1


@pytest.mark.parametrize(
    ("bad", "contact"), [("changed", False), ("unknown key", False), ("another tenant", True), ("ended", True)]
)
def test_the_contact_is_kept_only_when_the_signature_was_good(console: Console, bad: str, contact: bool) -> None:
    outcome = taken_in(console, BAD_FILES[bad][0])
    assert isinstance(outcome, RefusedUpload)
    assert (outcome.contact is not None) is contact
    if outcome.contact is not None:
        assert outcome.contact["mailbox"] == vendor.CONTACT.mailbox


def test_nothing_of_a_forged_file_is_kept(console: Console) -> None:
    outcome = taken_in(console, vendor.lic(key="a stranger", licensee=Licensee(vendor.TENANT, "Forged Name")))
    assert isinstance(outcome, RefusedUpload)
    assert "Forged Name" not in outcome.model_dump_json()
    with reading(console.engine) as session:
        assert not session.exec(select(StagedUpload)).all()


def test_older_same_and_foreign_licenses_are_told_apart(console: Console) -> None:
    activated(console, vendor.lic(2))
    cases = (
        (vendor.lic(1), "OLDER_THAN_CURRENT"),
        (vendor.lic(2, model_types=("chat",)), "SAME_VERSION_OTHER_CONTENT"),
        (vendor.lic(3, license_id="PROD-AAAAA-BBBBB-CCCCC"), "WRONG_LICENSE_ID"),
    )
    for raw, code in cases:
        outcome = taken_in(console, raw)
        assert isinstance(outcome, RefusedUpload)
        assert outcome.code == code


def test_the_very_file_in_force_is_good_news(console: Console) -> None:
    raw = vendor.lic()
    row = activated(console, raw)
    outcome = taken_in(console, raw)
    assert isinstance(outcome, uploads.AlreadyInstalled)
    assert outcome.row.id == row.id


def test_a_version_below_a_scheduled_one_is_refused(console: Console) -> None:
    activated(console, vendor.lic(1))
    activated(console, vendor.lic(3, starts=timedelta(days=10)))
    outcome = taken_in(console, vendor.lic(2))
    assert isinstance(outcome, RefusedUpload)
    assert outcome.code == "OLDER_THAN_CURRENT"


def test_a_staged_file_waits_half_an_hour(console: Console) -> None:
    upload = staged(console, vendor.lic())
    with pytest.raises(install.UploadRanOut):
        activate(console, upload.id, wall=wall_now() + timedelta(minutes=30))
    assert look(console).generation == 0
    activate(console, upload.id, wall=wall_now() + timedelta(minutes=29))


def test_a_staged_file_belongs_to_one_person(console: Console) -> None:
    upload = staged(console, vendor.lic())
    with pytest.raises(uploads.NoSuchUpload):
        activate(console, upload.id, by=vendor.OTHER_ADMIN)


def test_a_file_that_is_withdrawn_between_upload_and_click_is_not_activated(console: Console) -> None:
    upload = staged(
        console, vendor.lic(lasts=timedelta(days=60), grace_until=vendor.claims(lasts=timedelta(days=60)).valid_until)
    )
    with pytest.raises(install.NoLongerAccepted, match="ended"):
        activate(console, upload.id, now=utc_now() + timedelta(days=31))


def test_old_staged_files_are_forgotten(console: Console) -> None:
    upload = staged(console, vendor.lic(1))
    with transaction(console.engine) as session:
        row = session.get_one(StagedUpload, upload.id)
        row.until -= timedelta(days=2)
        session.add(row)
    staged(console, vendor.lic(2))
    with reading(console.engine) as session:
        assert session.get(StagedUpload, upload.id) is None


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("C:\\Users\\wei\\v3.lic", "v3.lic"),
        ("../../etc/passwd", "passwd"),
        ("license\u202ecil.exe", "licensecil.exe"),
        ("a\x00b\n.lic", "ab.lic"),
        ("", "unnamed file"),
        ("/", "unnamed file"),
    ],
)
def test_a_file_name_is_shown_without_folders_and_tricks(sent: str, shown: str) -> None:
    assert uploads.shown_name(sent) == shown


def test_a_very_long_file_name_is_shortened_in_the_middle() -> None:
    name = uploads.shown_name("x" * 500 + "-v3.lic")
    assert len(name) <= uploads.LONGEST_NAME
    assert name.endswith("…-v3.lic")


def written(console: Console) -> list[ReceiptClaims]:
    """The receipts so far, oldest first."""
    with reading(console.engine) as session:
        rows = session.exec(select(OutgoingReceipt).order_by(col(OutgoingReceipt.sequence))).all()
    return [verify_receipt(row.raw).claims for row in rows]


def test_a_genuine_file_that_is_refused_leaves_a_receipt_with_the_code(console: Console) -> None:
    activated(console, vendor.lic(2))
    refused = taken_in(console, vendor.lic(1))
    assert isinstance(refused, RefusedUpload)
    first, second = written(console)
    assert (second.event, second.reason, second.version) == (ReceiptEvent.REFUSED, "OLDER_THAN_CURRENT", 1)
    with reading(console.engine) as session:
        row = receipts.of_refusal(session, refused.id)
        assert row is not None
        assert receipts.file_name(row) == f"{vendor.LICENSE_ID}-v1-refused.lrc"
        assert second.previous == receipts.of_license(session, 1)[0].payload_sha256
    assert first.event is ReceiptEvent.ACTIVATED


@pytest.mark.parametrize("raw", [b"hello", vendor.lic(key="a stranger"), vendor.lic().replace(b'"sig": "', b'"sig": "AAAA')])
def test_a_file_that_nobody_issued_leaves_no_receipt(console: Console, raw: bytes) -> None:
    assert isinstance(taken_in(console, raw), RefusedUpload)
    assert written(console) == []
