"""A mailbox on an IMAP server as the judge, over TLS, with a real Dovecot."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.conftest import missing
from tests.mail.peers import Dovecot, running_dovecot
from tests.servers import NotHere
from workflow.mail.archives import ArchiveAway, ArchiveUnusable, check_archive, find_in_archive
from workflow.times import wall_now

WANTED = "<4f1a9c@serviceme.example>"


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    home = tmp_path_factory.mktemp("dovecot")
    for parent in (home, *home.parents[:3]):
        if parent.owner() == "root":
            parent.chmod(parent.stat().st_mode | 0o011)
    try:
        with running_dovecot(home) as server:
            yield server
    except NotHere as error:
        missing(str(error))


@pytest.fixture
def trusted(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> Dovecot:
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.certificate))
    return dovecot


def found(server: Dovecot, message_id: str = WANTED, password: str | None = None, mailbox: str = "INBOX") -> bool:
    url = f"imaps://desk%40serviceme.example@127.0.0.1:{server.port}/{mailbox}"
    return find_in_archive(url, message_id, wall_now() - timedelta(minutes=1), SecretStr(password or server.password))


def keep(server: Dovecot, header: str, name: str) -> Path:
    path = server.maildir / "new" / name
    path.write_text(f"From: a@b.example\n{header}\nSubject: License\n\nHello.\n")
    path.chmod(0o644)
    return path


def test_a_message_in_the_mailbox_is_found_and_stays_as_it_was(trusted: Dovecot) -> None:
    assert not found(trusted)
    keep(trusted, f"Message-ID: {WANTED}", "1.a")
    assert found(trusted)
    assert not found(trusted, "<other@serviceme.example>")
    seen = [each.name for each in (trusted.maildir / "cur").iterdir() if "S" in each.name.partition(":2,")[2]]
    assert seen == []


@pytest.mark.parametrize(
    ("header", "message_id"),
    [
        ("Message-ID: <prefix-1@serviceme.example>", "<1@serviceme.example>"),
        ("Message-ID: <2@serviceme.example.org>", "<2@serviceme.example>"),
        ("Message-ID: <x@y.example>\nIn-Reply-To: <3@serviceme.example>", "<3@serviceme.example>"),
    ],
)
def test_a_message_that_only_mentions_it_is_another(trusted: Dovecot, header: str, message_id: str) -> None:
    keep(trusted, header, message_id[1:2] + ".b")
    assert not found(trusted, message_id)


def test_a_wrong_password_and_a_mailbox_that_is_not_there_leave_the_doubt(trusted: Dovecot) -> None:
    with pytest.raises(ArchiveAway, match="can't be read"):
        found(trusted, password="guessed")
    with pytest.raises(ArchiveAway, match="can't be read"):
        found(trusted, mailbox="Archive")


def test_a_server_whose_certificate_nobody_vouches_for_gets_no_password(dovecot: Dovecot) -> None:
    with pytest.raises(ArchiveAway, match="certificate"):
        found(dovecot)


def test_a_server_that_is_away_leaves_the_doubt() -> None:
    with pytest.raises(ArchiveAway, match="can't be read"):
        find_in_archive("imaps://desk@127.0.0.1:9/INBOX", WANTED, wall_now(), SecretStr("x"))


@pytest.mark.parametrize(
    "url",
    [
        "imaps://mail.example.com/INBOX",
        "imaps://desk:secret@mail.example.com/",
        "imaps:desk",
        "imaps://desk@mail.example.com:x/",
    ],
)
def test_an_address_that_names_no_user_or_holds_the_password_is_refused(url: str) -> None:
    with pytest.raises(ArchiveUnusable, match="imaps://USER@HOST/MAILBOX"):
        check_archive(url)


def test_a_password_never_travels_in_clear_to_another_machine() -> None:
    with pytest.raises(ArchiveUnusable, match="in clear"):
        check_archive("imap://desk@mail.example.com/INBOX")
    check_archive("imap://desk@127.0.0.1/INBOX")


def test_without_a_password_it_says_where_to_put_it() -> None:
    with pytest.raises(ArchiveUnusable, match="LICDESK_MAIL_ARCHIVE_PASSWORD_FILE"):
        find_in_archive("imaps://desk@127.0.0.1/INBOX", WANTED, wall_now())
