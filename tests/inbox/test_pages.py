"""The inbox over SMTP and HTTP, as a process of its own."""

import base64
import smtplib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.inbox.conftest import LIAISON, REPOSITORY, RunningInbox, environ, sealed, signed
from tests.mail.conftest import ADMIN, SENDER, Post
from workflow.cli.broker import free_port
from workflow.mail.archives import find_in_archive
from workflow.mail.samples import RAW
from workflow.mail.transport import MailTransport, TransportError
from workflow.settings import MailSettings
from workflow.times import wall_now


def test_a_delivery_arrives_opens_and_gives_the_very_file(inbox: RunningInbox, post: Post) -> None:
    message = sealed(post, 1)
    inbox.send(message)
    (listed,) = inbox.web.get("/api/messages", params={"to": ADMIN, "limit": 1}).json()
    assert listed["message_id"] == "<mail-1@serviceme.example>"
    assert listed["subject"] == "License PROD-7K3QM-X2V9D-4HTRB, version 3"
    assert listed["file_names"] == ["PROD-7K3QM-X2V9D-4HTRB-v3.lic"]
    assert (listed["encrypted"], listed["signed"]) == (True, True)
    whole = inbox.web.get(f"/api/messages/{listed['id']}").json()
    (file,) = whole["files"]
    assert base64.b64decode(file["content"]) == RAW
    download = inbox.web.get(file["url"])
    assert download.content == RAW
    assert download.headers["content-disposition"] == 'attachment; filename="PROD-7K3QM-X2V9D-4HTRB-v3.lic"'
    assert "31 Mar 2027, Asia/Shanghai" in " ".join(whole["text"].split())
    assert inbox.web.get(f"/messages/{listed['id']}/raw").content == message


def test_the_page_shows_what_the_reader_sees_and_what_servers_saw(inbox: RunningInbox, post: Post) -> None:
    inbox.send(sealed(post, 2))
    page = inbox.web.get(f"/messages/{inbox.newest()}").text
    assert "<b>PROD-7K3QM-X2V9D-4HTRB-v3.lic</b>" in page
    assert "Download file" in page
    assert "Encrypted to the recipient" in page
    assert f"Signed by {SENDER}." in page
    assert "Encrypted message from the license desk" in page
    assert "Harbourline Logistics" in page


def test_the_letter_is_shown_where_it_can_run_and_load_nothing(inbox: RunningInbox, post: Post) -> None:
    inbox.send(signed(post, 3), LIAISON)
    frame = inbox.web.get(f"/messages/{inbox.newest()}/html")
    policy = frame.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    page = inbox.web.get(f"/messages/{inbox.newest()}")
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert " style=" not in page.text


def test_a_hostile_letter_stays_text_on_the_page(inbox: RunningInbox) -> None:
    evil = (
        b'From: "<script>alert(1)</script>" <a@b.example>\r\nTo: c@d.example\r\nSubject: <img src=x onerror=alert(2)>\r\n'
        b'Content-Type: text/html\r\nX-Evil: "><script>alert(3)</script>\r\n\r\n<script>alert(4)</script>\r\n'
    )
    inbox.send(evil)
    for address in ("/", f"/messages/{inbox.newest()}"):
        page = inbox.web.get(address).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_a_hostile_file_name_stays_a_name(inbox: RunningInbox) -> None:
    inbox.send(
        b"From: a@b.example\r\nTo: c@d.example\r\nContent-Type: application/octet-stream\r\n"
        b'Content-Disposition: attachment; filename="../../e\\"vil\r\n .lic"\r\n\r\nx\r\n'
    )
    answer = inbox.web.get(f"/messages/{inbox.newest()}/files/0")
    assert answer.headers["content-disposition"] == 'attachment; filename="evil.lic"'


def test_mail_is_found_by_reader_and_by_words(inbox: RunningInbox, post: Post) -> None:
    inbox.send(signed(post, 4, "someone.else@x.example"), "someone.else@x.example")
    by_reader = inbox.web.get("/api/messages", params={"to": "Someone.Else@x.example"}).json()
    assert [each["message_id"] for each in by_reader] == ["<mail-4@serviceme.example>"]
    assert inbox.web.get("/api/messages", params={"to": "else@x.example"}).json() == []
    by_words = inbox.web.get("/api/messages", params={"q": "one-time someone.else"}).json()
    assert [each["id"] for each in by_words] == [each["id"] for each in by_reader]
    assert "No mail found" in inbox.web.get("/", params={"q": "nobody wrote this"}).text


def test_every_message_is_on_one_page_and_on_one_only(inbox: RunningInbox, post: Post) -> None:
    for number in range(100, 160):
        inbox.send(signed(post, number), LIAISON)
    everything = [each["id"] for each in inbox.web.get("/api/messages", params={"limit": 500}).json()]
    paged: list[str] = []
    before = ""
    while part := inbox.web.get("/api/messages", params={"limit": 7, "before": before}).json():
        paged += [each["id"] for each in part]
        before = paged[-1]
    assert paged == everything
    assert everything == sorted(everything, reverse=True)
    assert "Next page" in inbox.web.get("/").text
    started = time.monotonic()
    inbox.web.get("/")
    assert time.monotonic() - started < 0.5


def test_what_was_accepted_is_found_when_in_doubt(inbox: RunningInbox, post: Post) -> None:
    inbox.send(sealed(post, 5))
    since = wall_now()
    assert find_in_archive(f"maildir:{inbox.maildir}", "<mail-5@serviceme.example>", since)
    assert not find_in_archive(f"maildir:{inbox.maildir}", "<mail-6@serviceme.example>", since)


@pytest.mark.parametrize(("recipient", "permanent"), [("nobody@x.example", True), ("full@x.example", False)])
def test_refusals_can_be_tried_out(inbox: RunningInbox, post: Post, recipient: str, permanent: bool) -> None:
    with pytest.raises(TransportError) as refused:
        inbox.send(sealed(post, 7), recipient)
    assert refused.value.permanent is permanent


def test_a_message_that_is_too_large_is_refused_and_the_inbox_goes_on(inbox: RunningInbox, post: Post) -> None:
    with smtplib.SMTP("127.0.0.1", inbox.smtp_port, timeout=20) as client, pytest.raises(smtplib.SMTPException):
        client.sendmail(SENDER, [ADMIN], b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 90_000)
    inbox.send(signed(post, 8), LIAISON)


@pytest.mark.parametrize(
    "address", ["/messages/nothing", "/messages/..%2f..%2fetc%2fpasswd", "/messages/1.2.desk/raw", "/nowhere", "/api/nowhere"]
)
def test_what_is_not_there_is_said_plainly(inbox: RunningInbox, address: str) -> None:
    answer = inbox.web.get(address)
    assert answer.status_code == 404
    if address.startswith("/api/"):
        assert answer.headers["content-type"] == "application/problem+json"
    else:
        assert "<h1>" in answer.text


def test_there_is_no_file_beyond_the_last(inbox: RunningInbox, post: Post) -> None:
    inbox.send(sealed(post, 9))
    for number in (1, -1, 10**30):
        assert inbox.web.get(f"/messages/{inbox.newest()}/files/{number}").status_code == 404


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "before=" + "y" * 200])
def test_a_query_that_makes_no_sense_is_refused(inbox: RunningInbox, query: str) -> None:
    assert inbox.web.get(f"/api/messages?{query}").status_code == 422


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1", ""])
def test_a_name_pointed_at_this_machine_reads_nothing(inbox: RunningInbox, host: str) -> None:
    assert inbox.web.get("/api/messages", headers={"Host": host}).status_code == 400


def test_nothing_can_be_written_over_http(inbox: RunningInbox) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert inbox.web.request(method, "/api/messages").status_code == 405


def test_stylesheet_and_theme_are_the_products(inbox: RunningInbox) -> None:
    page = inbox.web.get("/", headers={"Cookie": "theme=dark"}).text
    assert 'data-theme="dark"' in page
    assert 'data-theme="x"' not in inbox.web.get("/", headers={"Cookie": "theme=x"}).text
    assert inbox.web.get("/static/app.css").status_code == 200


def refused_start(*arguments: str, **variables: str) -> str:
    ports = ["--port", str(free_port()), "--smtp-port", str(free_port())]
    done = subprocess.run(
        [sys.executable, "-m", "workflow.inbox", *ports, *arguments],
        cwd=REPOSITORY,
        env=environ(**variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_in_production_it_does_not_start(tmp_path: Path) -> None:
    assert "inbox.demo_only" in refused_start("--maildir", str(tmp_path), LICDESK_MODE="production")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "inbox.example.com"])
def test_it_listens_on_this_machine_only(tmp_path: Path, host: str) -> None:
    assert "listens on this machine only" in refused_start("--host", host, "--maildir", str(tmp_path))


def test_the_desks_transport_settles_an_unanswered_mail_with_it(inbox: RunningInbox, post: Post) -> None:
    """The way the worker uses both: a mark before DATA, and the look-up afterwards."""
    marked: list[float] = []
    transport = MailTransport(MailSettings(smtp_port=inbox.smtp_port, smtp_tls="none", mail_sender=SENDER))
    since = wall_now()
    transport.send(SENDER, ADMIN, sealed(post, 10), before_data=lambda: marked.append(time.time()))
    transport.close()
    assert marked
    assert find_in_archive(f"maildir:{inbox.maildir}", "<mail-10@serviceme.example>", since)
