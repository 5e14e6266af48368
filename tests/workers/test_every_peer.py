"""Every kind of recipient with every program that can read it: the license arrives, byte for byte, signed by the desk.

A kind that a program cannot read by its nature (gpg reads no S/MIME) makes no pair. That gpgsm before 2.3 cannot agree on a
key with one on a curve is a fact that is held here, too.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from sqlmodel import select

from tests.conftest import missing
from tests.mail.readers import Gnupg, Gpg, Gpgsm, Openssl, Reader, Refused, gnupg_home, gpgsm_version, with_key
from tests.mail.test_certificates import certificate_with
from tests.servers import NotHere, SmtpCatcher, plain_text, smtp_catcher
from tests.workers.company import SENDER, Company, company_on
from workflow.database import create_engine, transaction
from workflow.db.tables import Delivery, IssuedLicense, JobRow, Tenant
from workflow.domain.delivery import Channel, Trust
from workflow.domain.events import Job
from workflow.mail.demo_keys import Authority, DemoFiles, key_pem, make_authority, make_recipient, make_signer
from workflow.mail.demo_openpgp import write_demo_openpgp
from workflow.mail.messages import Mailbox
from workflow.mail.openpgp import OpenPGPSigner
from workflow.services import portal, recipients
from workflow.times import wall_now

CURVES: dict[str, ec.EllipticCurve] = {"nistp256": ec.SECP256R1(), "nistp384": ec.SECP384R1(), "nistp521": ec.SECP521R1()}
PINNED, NONE = "pinned", "none"
OPENPGP = {"cv25519": ("ed25519", "cv25519"), "rsa-pgp": ("rsa3072", "rsa3072")}
READ_BY = {
    "openssl": ("rsa", *CURVES, PINNED, NONE),
    "gpgsm": ("rsa", PINNED, NONE) if gpgsm_version() < (2, 3) else ("rsa", *CURVES, PINNED, NONE),
    "gpg": tuple(OPENPGP),
}
PAIRS = [(kind, program) for program, kinds in READ_BY.items() for kind in kinds]


def address_of(kind: str) -> str:
    return f"{kind}@harbourline.example"


@dataclass
class Mailroom:
    """A license for a recipient of each kind, handed over by the desk's worker, and the programs with the recipients' keys."""

    company: Company
    smtp: SmtpCatcher
    home: Path
    authority: Authority
    gnupg: Gnupg
    desk_key: OpenPGPSigner

    def reader(self, kind: str, program: str) -> Reader:
        """A program as this recipient has set it up."""
        match program:
            case "openssl":
                return Openssl(self.home, self.home / "ca.pem", self.home / f"{kind}.pem")
            case "gpgsm":
                return Gpgsm(self.gnupg, SENDER)
            case _:
                return Gpg(self.gnupg, self.desk_key.fingerprint)

    def sent_to(self, kind: str) -> list[bytes]:
        """Messages to this recipient, as the mail server took them, oldest first."""
        found = [each.content for each in self.smtp.envelopes if each.rcpt_tos == [address_of(kind)]]
        return [each for each in found if isinstance(each, bytes)]

    def issued_for(self, kind: str) -> tuple[IssuedLicense, Delivery]:
        """The license and the row of the message that brought it."""
        with transaction(self.company.engine) as session:
            chosen = select(IssuedLicense, Delivery).where(
                Delivery.license == IssuedLicense.id, Delivery.address == address_of(kind)
            )
            return session.exec(chosen).one()

    def add(self, kind: str, *, key: bytes | None = None) -> None:
        """A recipient at the customer. A pinned certificate has no authority behind it."""
        with transaction(self.company.engine) as session:
            made = recipients.add_recipient(
                session,
                self.company.liaison,
                session.exec(select(Tenant)).one(),
                name=f"Reader {kind}",
                address=address_of(kind),
                key=key,
                trust=self.company.here.desk.mail_trust,
                now=wall_now(),
                wall=wall_now(),
            )
            if made.trust == Trust.PINNED:
                session.flush()
                recipients.confirm_key(session, self.company.operator, made.id, str(made.fingerprint), wall_now())

    def add_everybody(self) -> None:
        """One recipient of each kind, with the keys where their programs look for them."""
        now = wall_now()
        key = rsa.generate_private_key(65537, 2048)
        certificate = make_recipient(self.authority, key, address_of("rsa"), now)
        self._with_certificate("rsa", certificate, key)
        self.gnupg.add_rsa(certificate, key)
        key = rsa.generate_private_key(65537, 2048)
        certificate = x509.load_pem_x509_certificate(certificate_with(key, address=address_of(PINNED)))
        self._with_certificate(PINNED, certificate, key)
        self.gnupg.add_rsa(certificate, key)
        for kind, curve in CURVES.items():
            on_curve = self.gnupg.add_curve_key(curve, kind)
            certificate = make_recipient(self.authority, on_curve, address_of(kind), now)
            self._with_certificate(kind, certificate, on_curve)
            self.gnupg.add_certificate(certificate)
        for kind, (primary, subkey) in OPENPGP.items():
            self.add(kind, key=self.gnupg.add_key(f"Reader <{address_of(kind)}>", primary, subkey))
        self.add(NONE)

    def _with_certificate(
        self, kind: str, certificate: x509.Certificate, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    ) -> None:
        (self.home / f"{kind}.pem").write_bytes(with_key(certificate, key))
        self.add(kind, key=certificate.public_bytes(Encoding.PEM))

    def deliver(self, kinds: list[str], environment: str) -> None:
        """From the application to the mail server's yes."""
        number = self.company.apply(recipients=[address_of(each) for each in kinds], environment=environment)
        self.company.approve(number)
        self.company.run(Job.SIGN)
        self.company.run(Job.DELIVER)


@pytest.fixture(scope="module")
def mailroom(sqlite_template: Path, issuer_keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailroom]:
    home = tmp_path_factory.mktemp("mailroom")
    shutil.copyfile(sqlite_template, home / "desk.sqlite3")
    authority, signer = make_authority(wall_now()), ec.generate_private_key(ec.SECP256R1())
    files = DemoFiles(home / "ca.pem", home / "signer.pem", home / "signer.key", {})
    files.authority.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    files.signer_certificate.write_bytes(make_signer(authority, signer, SENDER, wall_now()).public_bytes(Encoding.PEM))
    files.signer_key.write_bytes(key_pem(signer))
    made = write_demo_openpgp(home, home / "inbox", recipients=[], signer=Mailbox(SENDER, "License desk"))
    desk_key = OpenPGPSigner.load(made.signer, address=SENDER, at=wall_now())
    with ExitStack() as stack:
        smtp = stack.enter_context(smtp_catcher())
        try:
            gnupg = stack.enter_context(gnupg_home(authority.certificate, desk_key.public.encode()))
        except NotHere as reason:
            missing(str(reason))
        company = stack.enter_context(_company(home, smtp, files, issuer_keys))
        company.here = replace(company.here, openpgp=desk_key)
        room = Mailroom(company, smtp, home, authority, gnupg, desk_key)
        room.add_everybody()
        room.deliver(["rsa", *CURVES, *OPENPGP, NONE], "PROD")
        room.deliver([PINNED], "UAT")
        yield room


@contextmanager
def _company(home: Path, smtp: SmtpCatcher, files: DemoFiles, issuer_keys: Path) -> Iterator[Company]:
    engine = create_engine(f"sqlite:///{home}/desk.sqlite3")
    made = company_on(engine, smtp_port=smtp.port, mail_keys=files, issuer_keys=issuer_keys, archive=home / "archive")
    yield made
    made.here.transport.close()
    for each in (made.here.engine, made.web, made.room.engine, engine):
        each.dispose()


def the_file(letter: EmailMessage) -> tuple[str | None, bytes]:
    (file,) = (each for each in letter.iter_attachments() if each.get_content_type() != "application/pgp-keys")
    content = file.get_payload(decode=True)
    assert isinstance(content, bytes)
    return file.get_filename(), content


@pytest.mark.parametrize(("kind", "program"), [pair for pair in PAIRS if pair[0] != NONE])
def test_the_license_arrives_byte_for_byte_and_signed_by_the_desk(mailroom: Mailroom, kind: str, program: str) -> None:
    issued, row = mailroom.issued_for(kind)
    assert (row.channel, row.state) == (Channel.OPENPGP if kind in OPENPGP else Channel.SMIME, "accepted")
    (message,) = mailroom.sent_to(kind)
    letter = mailroom.reader(kind, program).opened(message)
    assert the_file(letter) == (f"{issued.license_id}-v{issued.version}.lic", issued.envelope)
    assert issued.license_id in letter["Subject"]
    assert issued.license_id.encode() not in message


@pytest.mark.parametrize("program", [program for kind, program in PAIRS if kind == NONE])
def test_without_a_key_a_signed_link_leads_to_the_very_file(mailroom: Mailroom, program: str) -> None:
    issued, row = mailroom.issued_for(NONE)
    assert (row.channel, row.state) == (Channel.PORTAL, "accepted")
    reader, browser = mailroom.reader(NONE, program), f"the browser of {program}"
    letter = reader.opened(mailroom.sent_to(NONE)[0])
    assert not list(letter.iter_attachments())
    link = re.search(r"/d/(\S+)", plain_text(letter))
    assert link, plain_text(letter)
    with transaction(mailroom.company.web) as session:
        portal.ask_for_code(session, mailroom.company.here.desk.policy, link[1], browser, now=wall_now(), wall=wall_now())
    mailroom.company.run(Job.PORTAL_CODE)
    code = re.search(r"\b[0-9A-Z]{4}-?[0-9A-Z]{4}\b", plain_text(reader.opened(mailroom.sent_to(NONE)[-1])))
    assert code
    with transaction(mailroom.company.web) as session:
        assert portal.check_code(session, mailroom.company.here.desk.policy, link[1], browser, code[0], wall=wall_now())
        opened = portal.download(
            session, mailroom.company.here.desk.policy, link[1], actor=None, now=wall_now(), wall=wall_now()
        )
        assert opened.issued.envelope == issued.envelope


@pytest.mark.parametrize("kind", [kind for kind in CURVES if (kind, "gpgsm") not in PAIRS])
def test_gpgsm_before_2_3_finds_its_key_on_a_curve_and_cannot_use_it(mailroom: Mailroom, kind: str) -> None:
    """So much can be said to an administrator who has it: take another program, or a certificate with an RSA key."""
    (message,) = mailroom.sent_to(kind)
    with pytest.raises(Refused, match=f"(?s)encrypted to {kind} key.*Invalid session key"):
        mailroom.reader(kind, "gpgsm").opened(message)


@pytest.mark.parametrize(("kind", "program"), PAIRS)
def test_a_changed_message_is_opened_by_no_program(mailroom: Mailroom, kind: str, program: str) -> None:
    message = mailroom.sent_to(kind)[0]
    place = len(message) // 2
    changed = message[:place] + (b"A" if message[place : place + 1] != b"A" else b"B") + message[place + 1 :]
    with pytest.raises(Refused):
        mailroom.reader(kind, program).opened(changed)


def test_a_desk_without_an_openpgp_key_sends_nothing_until_it_has_one(mailroom: Mailroom) -> None:
    """Not unsigned, and not by another way: what is missing can be set, and then it goes out."""
    company, desk_key = mailroom.company, mailroom.company.here.openpgp
    address = address_of("later")
    mailroom.add("later", key=mailroom.gnupg.add_key(f"Reader <{address}>", "ed25519", "cv25519"))
    company.here = replace(company.here, openpgp=None)
    mailroom.deliver(["later"], "DEV")
    (job,) = (each for each in company.jobs(Job.DELIVER) if each.state == "pending")
    assert "LICDESK_MAIL_OPENPGP_KEY" in (job.last_error or "")
    assert mailroom.sent_to("later") == []
    company.here = replace(company.here, openpgp=desk_key)
    with transaction(company.engine) as session:
        waiting = session.get(JobRow, job.id)
        assert waiting is not None
        waiting.next_at = wall_now()
    company.run(Job.DELIVER)
    issued, row = mailroom.issued_for("later")
    assert (row.channel, row.state) == (Channel.OPENPGP, "accepted")
    assert the_file(mailroom.reader("later", "gpg").opened(mailroom.sent_to("later")[0]))[1] == issued.envelope
