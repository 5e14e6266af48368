"""What the signing worker really issues: others verify it, retired keys sign nothing, and newer trust roots travel along."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from tests.license_file.other_verifiers import OtherVerifiers
from tests.workers.company import Company
from workflow.cli.main import app
from workflow.database import transaction
from workflow.db.tables import IssuedLicense
from workflow.domain.events import Job
from workflow.license_file import Expected, TrustChain, verify_license
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
