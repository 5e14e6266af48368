"""Looking a Message-ID up where mail arrives. "Not there" leads to sending again, so it must be true."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from workflow.mail.archives import ArchiveAway, ArchiveUnusable, find_in_archive
from workflow.times import wall_now

WANTED = "<4f1a9c@serviceme.example>"
LATELY = timedelta(minutes=1)


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for folder in ("new", "cur", "tmp"):
        (tmp_path / folder).mkdir()
    return tmp_path


def keep(maildir: Path, header: str, *, name: str = "1.a", folder: str = "new", body: str = "x", end: str = "\r\n") -> Path:
    path = maildir / folder / name
    path.write_bytes((header + end + end + body).encode())
    return path


def found(maildir: Path, message_id: str = WANTED) -> bool:
    return find_in_archive(f"maildir:{maildir}", message_id, wall_now() - LATELY)


@pytest.mark.parametrize(
    "header",
    [
        f"From: a@b.example\r\nMessage-ID: {WANTED}\r\nTo: c@d.example",
        f"message-id:{WANTED}",
        f"Message-Id:\r\n {WANTED}",
        f"Subject: long\r\n line\r\nMESSAGE-ID:  \r\n\t{WANTED}  ",
        f"X-Filler: {'y' * 20_000}\r\nMessage-ID: {WANTED}",
    ],
    ids=["plain", "no blank", "folded", "folded with a tab", "beyond the first block"],
)
def test_a_message_that_arrived_is_found(maildir: Path, header: str) -> None:
    keep(maildir, header)
    assert found(maildir)


@pytest.mark.parametrize("folder", ["new", "cur"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_it_is_found_in_both_folders_and_with_both_line_ends(maildir: Path, folder: str, end: str) -> None:
    keep(maildir, f"Subject: x{end}Message-ID:{end} {WANTED}", folder=folder, end=end)
    assert found(maildir)


@pytest.mark.parametrize(
    "header",
    [
        f"Message-ID: <other@x.example>\r\nIn-Reply-To: {WANTED}",
        f"Message-ID: <other@x.example>\r\nReferences: {WANTED}",
        f"Subject: Message-ID: {WANTED}",
        f"Subject: x\r\n Message-ID: {WANTED}",
        "Message-ID: <prefix-4f1a9c@serviceme.example>",
        "Message-ID: <4f1a9c@serviceme.example.org>",
    ],
)
def test_a_message_that_only_mentions_it_is_another(maildir: Path, header: str) -> None:
    keep(maildir, header)
    assert not found(maildir)


def test_a_mention_in_the_body_is_not_enough(maildir: Path) -> None:
    keep(maildir, "Subject: x", body=f"Message-ID: {WANTED}\r\n\r\n")
    assert not found(maildir)


def test_what_is_not_complete_yet_is_not_there(maildir: Path) -> None:
    keep(maildir, f"Message-ID: {WANTED}", folder="tmp")
    assert not found(maildir)


def test_older_messages_are_not_opened(maildir: Path) -> None:
    old = keep(maildir, f"Message-ID: {WANTED}")
    long_ago = time.time() - 3_600
    os.utime(old, (long_ago, long_ago))
    assert not found(maildir)


def test_clocks_may_differ_by_a_minute_or_two(maildir: Path) -> None:
    path = keep(maildir, f"Message-ID: {WANTED}")
    behind = time.time() - 180
    os.utime(path, (behind, behind))
    assert found(maildir)


def test_a_large_mailbox_with_large_messages_is_searched_quickly(maildir: Path) -> None:
    body = "z" * 200_000
    for number in range(300):
        keep(maildir, f"Message-ID: <{number}@x.example>", name=f"{number}.a", body=body)
    for number in range(3_000):
        old = keep(maildir, f"Message-ID: <old-{number}@x.example>", name=f"old{number}.a", folder="cur")
        os.utime(old, (1, 1))
    started = time.monotonic()
    assert not found(maildir)
    assert time.monotonic() - started < 1


def test_an_archive_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(ArchiveAway, match="can't be read"):
        found(tmp_path / "not-mounted")


@pytest.mark.parametrize("url", ["", "/var/mail", "maildir:", "mbox:/var/mail/desk"])
def test_an_archive_of_another_kind_is_a_matter_of_settings(url: str) -> None:
    with pytest.raises(ArchiveUnusable, match="maildir:"):
        find_in_archive(url, WANTED, wall_now())
