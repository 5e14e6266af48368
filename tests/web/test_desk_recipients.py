"""Recipients' keys on the customer's page: confirmed by an operator, and a change after the approval by somebody else."""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import select

from tests.mail.test_certificates import certificate_with
from tests.web.desk import Browser
from tests.workers.company import WITHOUT_CERTIFICATE, Company
from workflow.database import transaction
from workflow.db.tables import Delivery, Recipient
from workflow.domain.events import Job

Open = Callable[[str], Browser]

HERE = "/customers/T-20817"


def recipient(company: Company) -> Recipient:
    with transaction(company.engine) as session:
        return session.exec(select(Recipient).where(Recipient.address == WITHOUT_CERTIFICATE)).one()


def pem() -> bytes:
    return certificate_with(ec.generate_private_key(ec.SECP256R1()), address=WITHOUT_CERTIFICATE)


def test_a_key_without_an_authority_waits_for_an_operator_who_compares_the_fingerprint(browser: Open, company: Company) -> None:
    liaison = browser("liaison")
    liaison.open(HERE)
    row = recipient(company)
    liaison.send(f"{HERE}/recipients/{row.id}/key", {"key": ("yu.pem", pem())})
    assert "Certificate waits for confirmation" in liaison.words
    fingerprint = str(recipient(company).fingerprint)
    in_groups = " ".join(fingerprint[at : at + 4] for at in range(0, 64, 4)).upper()
    assert in_groups in liaison.words
    assert "confirm it" not in liaison.words
    operator = browser("operator")
    operator.open(HERE)
    assert operator.send(f"{HERE}/recipients/{row.id}/confirm-key", fingerprint="00" * 32).status_code == 409
    operator.open(HERE)
    operator.send(f"{HERE}/recipients/{row.id}/confirm-key", fingerprint=fingerprint)
    assert "Certificate valid to" in operator.words
    assert "Fingerprint confirmed on" in operator.words


def test_a_key_changed_after_the_approval_holds_the_file_until_another_person_confirms(browser: Open, company: Company) -> None:
    number = company.apply(recipients=[WITHOUT_CERTIFICATE])
    company.approve(number)
    company.run(Job.SIGN)
    liaison, row = browser("liaison"), recipient(company)
    liaison.open(HERE)
    liaison.send(f"{HERE}/recipients/{row.id}/key", {"key": ("yu.pem", pem())})
    company.run(Job.DELIVER)
    liaison.open(f"/applications/{number}")
    assert "waits for somebody to look at it" in liaison.words
    assert "changed after the approval" in liaison.words
    liaison.open(HERE)
    assert "A file for Chen Yu is held" in liaison.words
    assert "Confirm the change" not in liaison.words
    approver = browser("approver")
    approver.open(HERE)
    assert "Confirm the change" in approver.words
    approver.send(f"{HERE}/recipients/{row.id}/confirm-change", seen=recipient(company).changed_at.isoformat())
    assert "What was held for it is sent now" in approver.words
    company.run(Job.DELIVER)
    with transaction(company.engine) as session:
        sent = session.exec(select(Delivery).where(Delivery.recipient == row.id, Delivery.kind == "license_delivery")).one()
    assert (sent.state, sent.channel) == ("accepted", "portal")
    approver.open(f"/applications/{number}")
    assert f"Change of {WITHOUT_CERTIFICATE} confirmed by" in approver.words


def test_a_file_of_5_mb_is_refused_while_it_arrives(browser: Open, company: Company) -> None:
    liaison = browser("liaison")
    liaison.open(HERE)
    answer = liaison.send(f"{HERE}/recipients/{recipient(company).id}/key", {"key": ("big.pem", b"x" * 5_000_000)})
    assert answer.status_code == 413
    assert recipient(company).key is None


def test_how_somebody_is_called_and_written_to_is_changed(browser: Open, company: Company) -> None:
    liaison = browser("liaison")
    liaison.open(HERE)
    before = recipient(company)
    liaison.send(f"{HERE}/recipients/{before.id}/person", name="Chen Yu (night shift)", language="zh", backup="1")
    assert "Chen Yu (night shift)" in liaison.words
    row = recipient(company)
    assert (row.language, row.backup, row.changed_at) == ("zh", True, before.changed_at)
    assert liaison.send(f"{HERE}/recipients/{before.id}/person", name="", language="fr").status_code == 422
