"""The certificates of a demo, as the command writes them."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.mail.conftest import ADMIN, OTHER_ADMIN, SENDER
from workflow.certificates import read_certificate
from workflow.cli.mail import app
from workflow.mail.demo_keys import DemoFiles, PartialKeys, file_stem, write_demo_keys
from workflow.mail.encryption import MailSigner
from workflow.mail.messages import UnsafeHeader
from workflow.times import wall_now


def write(tmp_path: Path, *recipients: str) -> DemoFiles:
    return write_demo_keys(tmp_path / "desk", tmp_path / "inbox", recipients=recipients, signer_address=SENDER, now=wall_now())


def test_keys_are_for_their_owner_alone_and_certificates_for_everybody(tmp_path: Path) -> None:
    write(tmp_path, ADMIN)
    for path in (tmp_path / "desk" / "signer.key", tmp_path / "inbox" / f"{ADMIN}.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secrets = [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert {path.name for path in secrets} == {"signer.key", f"{ADMIN}.pem"}
    assert not any(b"PRIVATE KEY" in path.read_bytes() for path in (tmp_path / "desk" / "recipients").iterdir())


def test_everything_works_until_the_demo_has_moved_its_clock_two_years_ahead(tmp_path: Path) -> None:
    files = write(tmp_path, ADMIN)
    later = wall_now().replace(year=wall_now().year + 2, day=1)
    authorities = [files.authority.read_bytes()]
    assert ADMIN in read_certificate(files.recipients[ADMIN].read_bytes(), ADMIN, later, authorities=authorities).addresses
    MailSigner.load(files.signer_certificate, files.signer_key, address=SENDER, at=later)  # raises when it is unusable


def test_repeating_it_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, ADMIN, OTHER_ADMIN)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    write(tmp_path, ADMIN, OTHER_ADMIN)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_partial_set_is_not_completed(tmp_path: Path) -> None:
    write(tmp_path, ADMIN)
    (tmp_path / "desk" / "signer.key").unlink()
    with pytest.raises(PartialKeys, match=r"signer\.key is missing"):
        write(tmp_path, ADMIN)
    assert not (tmp_path / "desk" / "signer.key").exists()


def test_an_address_cannot_choose_a_folder(tmp_path: Path) -> None:
    files = write(tmp_path, "a/../../b@x.example")
    assert file_stem("a/../../b@x.example") == "a%2F..%2F..%2Fb@x.example"
    assert files.recipients["a/../../b@x.example"].parent == tmp_path / "desk" / "recipients"
    with pytest.raises(UnsafeHeader):
        write(tmp_path / "other", "no address")


def test_the_command_says_where_everything_is(tmp_path: Path) -> None:
    arguments = ["init", "--directory", str(tmp_path / "desk"), "--inbox-keys", str(tmp_path / "inbox")]
    done = CliRunner().invoke(app, [*arguments, "--recipients", f"{ADMIN}, {OTHER_ADMIN}", "--signer-address", SENDER])
    assert done.exit_code == 0, done.output
    assert ADMIN in done.output
    assert (tmp_path / "desk" / "recipients" / f"{OTHER_ADMIN}.pem").exists()


def test_the_command_ends_with_a_sentence_when_it_cannot(tmp_path: Path) -> None:
    write(tmp_path, ADMIN)
    (tmp_path / "desk" / "ca.pem").unlink()
    arguments = ["init", "--directory", str(tmp_path / "desk"), "--inbox-keys", str(tmp_path / "inbox")]
    done = CliRunner().invoke(app, [*arguments, "--recipients", ADMIN, "--signer-address", SENDER])
    assert done.exit_code == 1
    assert "mail.partial_keys" in done.output
