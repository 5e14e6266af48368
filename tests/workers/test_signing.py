"""What the signing worker really issues: others verify it, retired keys sign nothing, and newer trust roots travel along."""

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from tests.license_file.other_verifiers import OtherVerifiers
from tests.servers import SmtpCatcher
from tests.workers.company import WITH_CERTIFICATE, Company
from workflow.cli.main import app
from workflow.database import transaction
from workflow.db.queries import applications, licenses
from workflow.db.queries import revocations as queries
from workflow.db.tables import IssuedLicense, RevocationListRow
from workflow.domain.events import Job
from workflow.license_file import Expected, Revoked, TrustChain, verify_license
from workflow.services import revocations
from workflow.times import wall_now


def issue(company: Company, **changes: object) -> IssuedLicense:
    """An application's license, signed by the worker."""
    number = company.apply(**changes)
    company.approve(number)
    company.run(Job.SIGN)
    application = company.application(number)
    with transaction(company.engine) as session:
        return session.exec(select(IssuedLicense).where(IssuedLicense.application == application.id)).one()


@pytest.mark.parametrize("environment", ["DEV", "UAT", "PROD"])
def test_what_the_service_issued_verifies_elsewhere(company: Company, tmp_path: Path, environment: str) -> None:
    issued = issue(company, environment=environment)
    key = company.room.chain().current.keys[issued.key_ids].public_key
    assert OtherVerifiers(tmp_path).all(issued.envelope, key) == {issued.payload}
    forged = issued.envelope.replace(b'"payload": "ey', b'"payload": "eY')
    assert forged != issued.envelope
    assert OtherVerifiers(tmp_path).all(forged, key) == {None}


class Rotating:
    """A company whose trust directory is its own, with the custodians' keys at hand."""

    def __init__(self, company: Company, keys: Path, home: Path) -> None:
        copytree(keys, home, dirs_exist_ok=True)
        self.home = home
        self.company = company
        company.room.settings = replace(company.room.settings, trust_dir=home / "trust")

    def run(self, *arguments: object) -> None:
        ran = CliRunner().invoke(app, [str(each) for each in arguments])
        assert ran.exit_code == 0, ran.output

    def next_root(self, *command: str) -> None:
        """Prepared by this command, signed by two custodians, merged."""
        draft = self.home / "draft"
        self.run(*command, "--trust", self.home / "trust", "--draft", draft)
        for number in (1, 2):
            key = f"file:{self.home}/keys/root-key-{number}.pem"
            where = ("--key", key, "--secret-file", self.home / "secret", "--to", self.home / f"signed-{number}", "--yes")
            self.run("trust", "sign", "--draft", draft, *where)
        self.run("trust", "merge", self.home / "signed-1", self.home / "signed-2", "--trust", self.home / "trust")


@pytest.fixture
def rotating(company: Company, issuer_keys: Path, tmp_path: Path) -> Rotating:
    return Rotating(company, issuer_keys, tmp_path / "rotating")


def test_a_new_trust_root_travels_in_the_next_file_without_a_restart(rotating: Rotating) -> None:
    issue(rotating.company)
    rotating.next_root("trust", "prepare", "--drop", "issuer-prod-spare")
    issued = issue(rotating.company, environment="UAT")
    first = rotating.home / "trust" / "root-1.json"
    platform = TrustChain.load([first.read_bytes()], (rotating.home / "trust" / "pin.txt").read_text()).current
    verified = verify_license(issued.envelope, platform, Expected("T-20817", "UAT"), wall_now())
    assert [root.version for root in verified.new_roots] == [2]
    assert "issuer-prod-spare" not in {key.label for key in verified.trust.keys.values()}


@pytest.mark.parametrize("how", [("keys", "retire", "issuer-prod"), ("trust", "prepare", "--drop", "issuer-prod")])
def test_a_key_that_was_taken_out_of_use_signs_nothing_from_that_moment_on(rotating: Rotating, how: tuple[str, ...]) -> None:
    rotating.next_root(*how)
    number = rotating.company.apply()
    rotating.company.approve(number)
    rotating.company.run(Job.SIGN)
    application = rotating.company.application(number)
    assert application.status == "approved"
    assert application.attention is not None
    assert "may not sign for PROD under trust root version 2. Name another key" in application.attention


def test_a_trust_root_that_went_away_stops_signing_with_a_sentence(rotating: Rotating) -> None:
    (rotating.home / "trust" / "pin.txt").unlink()
    number = rotating.company.apply()
    rotating.company.approve(number)
    rotating.company.run(Job.SIGN)
    attention = rotating.company.application(number).attention
    assert attention is not None
    assert "The trust root in" in attention
    assert "cannot be read" in attention


def publish(company: Company, keys: Path, key: str = "revoker") -> RevocationListRow:
    """The command that signs the list with the revoker's key, on this database."""
    environ = {"LICDESK_DATABASE_URL": company.engine.url.render_as_string(hide_password=False)}
    where = ["--key", f"file:{keys}/keys/{key}.pem", "--secret-file", str(keys / "secret"), "--trust", str(keys / "trust")]
    ran = CliRunner().invoke(app, ["revocations", "publish", *where], env=environ)
    assert ran.exit_code == 0, ran.output
    with transaction(company.engine) as session:
        newest = queries.newest_list(session)
    assert newest is not None
    return newest


def revoked(company: Company, issued: IssuedLicense) -> None:
    """An operator calls a license of a test platform back."""
    with transaction(company.engine) as session:
        application = applications.get_application_by_id(session, issued.application)
        found = licenses.get_license(session, issued.id)
        revocations.revoke(session, company.operator, application, found, "It named one module too many.", wall_now())


def test_a_published_revocation_list_travels_in_every_later_file(company: Company, issuer_keys: Path) -> None:
    first = issue(company, environment="UAT")
    revoked(company, first)
    newest = publish(company, issuer_keys)
    later = issue(company, environment="UAT")
    root = company.room.chain().current
    verified = verify_license(later.envelope, root, Expected("T-20817", "UAT"), wall_now())
    assert verified.revocations is not None
    assert verified.revocations.payload_sha256 == newest.payload_sha256
    with pytest.raises(Revoked, match="one module too many"):
        verify_license(first.envelope, root, Expected("T-20817", "UAT", revocations=verified.revocations), wall_now())


def test_a_list_whose_signer_was_dropped_does_not_spoil_later_files(rotating: Rotating) -> None:
    publish(rotating.company, rotating.home)
    rotating.next_root("trust", "prepare", "--drop", "revoker")
    issued = issue(rotating.company, environment="UAT")
    root = rotating.company.room.chain().roots[0]
    assert verify_license(issued.envelope, root, Expected("T-20817", "UAT"), wall_now()).revocations is None
    newest = publish(rotating.company, rotating.home, "revoker-spare")
    assert newest.sequence == 2
    issued = issue(rotating.company, environment="DEV")
    verified = verify_license(issued.envelope, root, Expected("T-20817", "DEV"), wall_now())
    assert verified.revocations is not None
    assert verified.revocations.sequence == 2


def test_only_a_revokers_key_publishes(company: Company, issuer_keys: Path) -> None:
    environ = {"LICDESK_DATABASE_URL": company.engine.url.render_as_string(hide_password=False)}
    where = ["--secret-file", str(issuer_keys / "secret"), "--trust", str(issuer_keys / "trust")]
    command = ["revocations", "publish", "--key", f"file:{issuer_keys}/keys/issuer-prod.pem", *where]
    ran = CliRunner().invoke(app, command, env=environ)
    assert (ran.exit_code, "UNTRUSTED_REVOCATIONS" in ran.stderr) == (1, True)
    with transaction(company.engine) as session:
        assert queries.newest_list(session) is None


def test_the_letter_about_a_revoked_license_says_why(company: Company, smtp: SmtpCatcher) -> None:
    revoked(company, issue(company, environment="UAT"))
    company.run(Job.LETTER)
    (subject,) = {str(each["Subject"]) for each in smtp.messages if str(each["Subject"]).startswith("Revoked")}
    assert "version 1" in subject
    told = {each["To"].addresses[0].addr_spec for each in smtp.messages if str(each["Subject"]).startswith("Revoked")}
    assert told == {WITH_CERTIFICATE, "liaison@serviceme.example"}


def test_the_lists_are_shown_and_saved_by_command(company: Company, issuer_keys: Path, tmp_path: Path) -> None:
    environ = {"LICDESK_DATABASE_URL": company.engine.url.render_as_string(hide_password=False)}

    def said(*arguments: object) -> str:
        ran = CliRunner().invoke(app, ["revocations", *map(str, arguments)], env=environ)
        return ran.output

    assert "No list yet." in said("list")
    assert "No revocation list was published yet" in said("save", tmp_path / "none.lrl")
    revoked(company, issue(company, environment="UAT"))
    assert "not published yet" in said("list")
    newest = publish(company, issuer_keys)
    (only,) = json.loads(said("list", "--json"))["licenses"]
    assert (only["state"], only["reason"]) == ("published", "It named one module too many.")
    said("save", tmp_path / "newest.lrl")
    assert (tmp_path / "newest.lrl").read_bytes() == newest.envelope
