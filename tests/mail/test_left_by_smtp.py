"""The search through everything that left: it finds a license in whatever it is wrapped, and fails the run."""

import base64
import os
import quopri
import smtplib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.left_by_smtp import CLEAR, VARIABLE, in_clear, kept_in
from tests.license_file import example
from tests.mail.conftest import Post
from tests.servers import smtp_catcher
from workflow.license_file import LICENSE_TYPE, encode_claims
from workflow.mail import letters
from workflow.mail.encryption import encrypt_for, sign_only
from workflow.mail.messages import OuterHeaders
from workflow.mail.rendering import Reader
from workflow.mail.samples import DESK, ISSUED, SHA256

REPOSITORY = Path(__file__).resolve().parents[2]
HEAD = b"From: a@b.example\r\nSubject: x\r\n\r\n"


def base64_of(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def test_the_marks_are_those_of_license_files_and_letters() -> None:
    for kind in (LICENSE_TYPE, letters.LICENSE_MEDIA_TYPE):
        assert CLEAR[0].decode() in kind


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda lic: lic,
        base64_of,
        base64.b64encode,
        base64.urlsafe_b64encode,
        quopri.encodestring,
        lambda lic: b"Content-Type: a/b\r\n\r\n" + base64_of(b"Content-Type: c/d\r\n\r\n" + base64_of(lic)),
        lambda lic: b"see https://x.example/?license=" + base64.urlsafe_b64encode(lic) + b"&x=1",
        lambda lic: base64_of(quopri.encodestring(lic)),
    ],
    ids=["as it is", "base64", "in one line", "url-safe", "quoted-printable", "twice", "in an address", "both"],
)
def test_a_license_is_found_in_whatever_it_is_wrapped(wrapped: Callable[[bytes], bytes]) -> None:
    for secret in (example.lic(), encode_claims(example.CLAIMS)):
        assert in_clear(HEAD + wrapped(secret) + b"\r\n")


def test_the_letter_that_brings_a_license_is_found_unless_it_is_encrypted(post: Post, headers: OuterHeaders) -> None:
    letter = letters.license_delivery(Reader("Zhang Wei", "en"), ISSUED, example.lic(), SHA256, DESK)
    for signer in (None, post.signer):
        assert in_clear(sign_only(letter, signer, headers=headers))
    assert in_clear(encrypt_for(letter, post.certificate(), post.signer, headers=headers)) is None


def test_no_words_of_a_letter_are_taken_for_a_license() -> None:
    """It tells of the license, its number and its digest; that is no secret."""
    letter = letters.license_delivery(Reader("Zhang Wei", "en"), ISSUED, example.lic(), SHA256, DESK)
    for words in (letter.text, letter.html, letter.subject):
        assert in_clear(HEAD + base64_of(words.encode())) is None


def test_what_a_tests_mail_server_takes_or_refuses_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with smtp_catcher() as catcher, smtplib.SMTP("127.0.0.1", catcher.port) as client:
        client.sendmail("a@x.example", "b@x.example", "Subject: first\n\nwords")
        catcher.refuse["DATA"] = "554 5.7.1 no"
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("a@x.example", "b@x.example", "Subject: second\n\nwords")
    assert [each.split(b"\r\n", 1)[0] for each in kept_in(tmp_path)] == [b"Subject: first", b"Subject: second"]


LEAK = """
from tests.left_by_smtp import record

LICENSE = b"Subject: %d\\r\\n\\r\\n{\\"license_id\\": 1}"

def test_that_sends():
    record(LICENSE % 1)

def test_whose_installation_has_an_inbox(tmp_path):
    folder = tmp_path / "var" / "inbox" / "maildir" / "new"
    folder.mkdir(parents=True)
    (folder / "1.desk").write_bytes(LICENSE % 2)
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_whose_tests_are_green_fails_when_a_license_left(processes: str, tmp_path: Path) -> None:
    (tmp_path / "test_leak.py").write_text(LEAK)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TESTS_"))}
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # others' plugins take longer to start than all the rest
    options = ["-p", "xdist", "-n", processes, "-p", "tests.left_by_smtp", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    with tempfile.TemporaryDirectory() as base:  # elsewhere: this run is searched as well
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-c", os.devnull, *options, "--basetemp", f"{base}/run", str(tmp_path)],
            cwd=REPOSITORY,
            env=environ,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    assert "2 passed" in run.stdout, run.stdout + run.stderr
    assert run.stdout.count("A LICENSE LEFT IN CLEAR") == 2
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
