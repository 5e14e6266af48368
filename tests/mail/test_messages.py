"""Header fields and parts as they are written."""

import email
from dataclasses import replace
from datetime import datetime
from email.header import decode_header, make_header
from email.policy import SMTP, compat32
from email.utils import parseaddr

import pytest

from workflow.mail.encryption import sign_only
from workflow.mail.messages import Attachment, Letter, Mailbox, OuterHeaders, UnsafeHeader, message_id_for, text_value

LETTER = Letter("Subject", "text\n", "<p>html</p>\n")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "wei",
        "wei@",
        "@x.example",
        "a@b@c",
        "wei@x.example\r\nBcc: all@x.example",
        "wei zhang@x.example",
        "wei@xn--.…",
        "<a@b.example>",
        "a,b@c.example",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(UnsafeHeader):
        Mailbox(address)


@pytest.mark.parametrize("name", ["Wei\r\nBcc: all@x.example", "Wei\nZhang", "Wei\x00"])
def test_a_name_cannot_start_another_header_field(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        Mailbox("wei@x.example", name)


@pytest.mark.parametrize("subject", ["License\r\nBcc: all@x.example", "a\nb", "a\x0bb"])
def test_a_subject_cannot_start_another_header_field(subject: str, headers: OuterHeaders) -> None:
    with pytest.raises(UnsafeHeader):
        sign_only(replace(LETTER, subject=subject), None, headers=headers)


@pytest.mark.parametrize("name", ["../../etc/passwd", 'a".lic', "a\r\nb.lic", "", ".hidden", "许可证.lic", "a b.lic"])
def test_an_attachment_name_is_plain(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        Attachment(name, b"")


@pytest.mark.parametrize("message_id", ["a@b.example", "<a b@c.example>", "<a@b.example>\r\nX: y", "<>"])
def test_a_message_id_is_whole(message_id: str, headers: OuterHeaders) -> None:
    with pytest.raises(UnsafeHeader):
        replace(headers, message_id=message_id)


def test_a_date_without_a_zone_is_refused(headers: OuterHeaders) -> None:
    with pytest.raises(UnsafeHeader):
        replace(headers, date=datetime(2026, 11, 24))  # noqa: DTZ001  # that is the point


@pytest.mark.parametrize(
    "name", ["", "Wei Zhang", "Zhang, Wei (Ops)", 'Wei "W" \\ Zhang', "张伟", "Ünï " * 30, "=?utf-8?Q?a?=", "a@b <c>"]
)
def test_any_name_arrives_as_it_was_written(name: str, headers: OuterHeaders) -> None:
    raw = sign_only(LETTER, None, headers=replace(headers, recipient=Mailbox("wei@x.example", name)))
    # Not through the address parser of Python 3.11: it keeps the blank between two encoded words, against RFC 2047.
    phrase, address = parseaddr(email.message_from_bytes(raw, policy=compat32)["To"].replace("\r\n", ""))
    assert (str(make_header(decode_header(phrase))), address) == (name, "wei@x.example")


@pytest.mark.parametrize(
    "subject",
    [
        "License PROD-7K3QM-X2V9D-4HTRB, version 3",
        "a rather long subject " * 8,
        "许可证 PROD " * 12,
        "  two  blanks  ",
        "=?utf-8?B?aGVsbG8=?=",
        "𝔏icense 🎫",
        "x" * 950,
    ],
)
def test_any_subject_arrives_as_it_was_written(subject: str, headers: OuterHeaders) -> None:
    raw = sign_only(replace(LETTER, subject=subject), None, headers=headers)
    message = email.message_from_bytes(raw, policy=SMTP)
    assert str(message["Subject"]).strip() == subject.strip()
    head = raw.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert all(line.strip() for line in head)
    assert max(len(line) for line in head if b"=?utf-8?" in line) <= 76


def test_folded_lines_stay_short() -> None:
    assert max(map(len, (b"Subject: " + text_value("Subject", "word " * 60)).split(b"\r\n"))) <= 78


def test_text_that_looks_like_a_boundary_stays_text(headers: OuterHeaders) -> None:
    first = sign_only(LETTER, None, headers=headers)
    boundary = email.message_from_bytes(first, policy=SMTP).get_boundary()
    letter = replace(LETTER, text=f"--{boundary}\nContent-Type: text/html\n\nevil\n--{boundary}--\n")
    message = email.message_from_bytes(sign_only(letter, None, headers=headers), policy=SMTP)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == letter.text


def test_a_rebuilt_message_has_the_same_message_id() -> None:
    first = message_id_for("deliver:PROD-1:v3:wei@x.example", "serviceme.example")
    assert first == message_id_for("deliver:PROD-1:v3:wei@x.example", "serviceme.example")
    assert first != message_id_for("deliver:PROD-1:v4:wei@x.example", "serviceme.example")
    assert "wei" not in first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("desk@x.example", Mailbox("desk@x.example")),
        ("License Desk <desk@x.example>", Mailbox("desk@x.example", "License Desk")),
        ('"Desk, License" <desk@x.example>', Mailbox("desk@x.example", "Desk, License")),
    ],
)
def test_a_mailbox_is_read_from_settings(text: str, expected: Mailbox) -> None:
    assert Mailbox.parse(text) == expected
