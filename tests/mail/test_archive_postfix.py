"""A Postfix server's log as the judge: what it took, what it was never given, what it only began to take."""

import gzip
import os
import smtplib
import socket
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.mail.peers import Postfix, running_postfix
from tests.servers import NotHere, wait_until
from workflow.mail.archives import ArchiveAway, find_in_archive
from workflow.times import wall_now

WANTED = "<4f1a9c@serviceme.example>"
LATELY = timedelta(minutes=1)


@pytest.fixture(scope="module")
def postfix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postfix]:
    home = tmp_path_factory.mktemp("postfix")
    for parent in (home, *home.parents[:3]):
        if parent.owner() == "root":
            parent.chmod(parent.stat().st_mode | 0o011)  # its daemons run as a user of their own
    try:
        with running_postfix(home) as server:
            yield server
    except NotHere as error:
        missing(str(error))


def found(log: Path, message_id: str = WANTED, since: datetime | None = None) -> bool:
    return find_in_archive(f"postfix:{log}", message_id, since or wall_now() - LATELY)


def message(message_id: str) -> str:
    return f"From: a@b.example\r\nSubject: License\r\nMessage-ID: {message_id}\r\n\r\nHello.\r\n"


def send(server: Postfix, message_id: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as smtp:
        smtp.sendmail("a@b.example", ["c@d.example"], message(message_id))


def logged(server: Postfix, words: str) -> None:
    wait_until(lambda: words in server.log.read_text(), 30, f"{words!r} in the log")


def test_what_postfix_took_is_found_and_another_message_is_not(postfix: Postfix) -> None:
    send(postfix, "<taken@serviceme.example>")
    logged(postfix, "status=sent")
    assert found(postfix.log, "<taken@serviceme.example>")
    assert not found(postfix.log, "<never-sent@serviceme.example>")
    assert not found(postfix.log, "<aken@serviceme.example>")


def test_a_client_that_hung_up_in_the_middle_has_not_sent_it_though_the_log_names_it(postfix: Postfix) -> None:
    with socket.create_connection(("127.0.0.1", postfix.port)) as connection, connection.makefile("rwb") as lines:
        lines.readline()
        for command in (b"HELO desk", b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@d.example>", b"DATA"):
            lines.write(command + b"\r\n")
            lines.flush()
            lines.readline()
        lines.write(message("<half@serviceme.example>").encode() + b"and so on\r\n" * 5_000)
        lines.flush()
        logged(postfix, "message-id=<half@serviceme.example>")
        with pytest.raises(ArchiveAway, match="does not tell yet"):  # the last byte may still come
            found(postfix.log, "<half@serviceme.example>")
    logged(postfix, "lost connection after DATA")
    assert not found(postfix.log, "<half@serviceme.example>")


def test_a_second_try_that_arrived_counts_after_a_first_that_did_not(tmp_path: Path) -> None:
    log = write(
        tmp_path / "mail.log",
        *began("A1", 7),
        "postfix/smtpd[7]: lost connection after DATA (9 bytes) from x[::1]",
        *took("B2"),
    )
    assert found(log)


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"Nov 24 22:05:53 mail {line}\n" for line in lines))
    return path


def began(queue_id: str, process: int = 1) -> list[str]:
    return [
        f"postfix/submission/smtpd[{process}]: {queue_id}: client=desk[127.0.0.1], sasl_username=desk",
        f"postfix/cleanup[2]: {queue_id}: message-id={WANTED}",
    ]


def took(queue_id: str) -> list[str]:
    return [*began(queue_id), f"postfix/qmgr[3]: {queue_id}: from=<a@b.example>, size=280, nrcpt=1 (queue active)"]


def test_the_log_of_a_host_with_several_instances_and_times_of_another_form_is_read_as_well(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(
        "".join(
            f"2026-11-24T22:05:53.018+00:00 mx1 {line.replace('postfix/', 'postfix-out/')}\n" for line in took("4XyZ1w2Q3r")
        )
    )
    assert found(log)


def test_a_filter_that_refused_it_in_the_end_has_given_it_up(tmp_path: Path) -> None:
    refusal = "postfix/cleanup[2]: A1: milter-reject: END-OF-MESSAGE from desk[127.0.0.1]: 5.7.1 no"
    assert not found(write(tmp_path / "mail.log", *began("A1"), refusal))


def test_another_clients_hanging_up_says_nothing_about_ours(tmp_path: Path) -> None:
    log = write(tmp_path / "mail.log", *began("A1", 7), "postfix/smtpd[8]: lost connection after DATA (9 bytes) from x[::1]")
    with pytest.raises(ArchiveAway, match="does not tell yet"):
        found(log)


@pytest.mark.parametrize("rotated", ["mail.log.1", "mail.log-20261124", "mail.log.2.gz"])
def test_what_was_rotated_out_of_the_log_since_is_read_too(tmp_path: Path, rotated: str) -> None:
    log = write(tmp_path / "mail.log", "postfix/qmgr[3]: A1: removed")
    old = write(tmp_path / rotated, *took("A1"))
    if rotated.endswith(".gz"):
        old.write_bytes(gzip.compress(old.read_bytes()))
    assert found(log)
    os.utime(old, (1, 1))
    assert not found(log)


def test_a_log_that_nobody_wrote_to_since_is_no_witness(tmp_path: Path) -> None:
    log = write(tmp_path / "mail.log", "postfix/qmgr[3]: A1: removed")
    an_hour_ago = time.time() - 3_600
    os.utime(log, (an_hour_ago, an_hour_ago))
    with pytest.raises(ArchiveAway, match="Nothing was written"):
        found(log)


def test_a_log_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(ArchiveAway, match="can't be read"):
        found(tmp_path / "gone" / "mail.log")
    with pytest.raises(ArchiveAway, match="Nothing was written"):
        found(tmp_path / "mail.log")
