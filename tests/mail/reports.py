"""Messages that come back, as mail servers write them, and as nobody should."""

from email.utils import formatdate

RECIPIENT = "wei.zhang@harbourline.example"
REFUSED = "550 5.1.1 <wei.zhang@harbourline.example>: user unknown"


def report(
    *,
    envelope_id: str = "",
    to: str = "bounce@desk.example",
    action: str = "failed",
    status: str = "5.1.1",
    recipient: str = RECIPIENT,
    message_id: str = "<someone-elses@example.com>",
    diagnostic: str = REFUSED,
    returned: str = "text/rfc822-headers",
) -> bytes:
    """A delivery status notification (RFC 3464) with the header of what it returns."""
    about = f"Original-Envelope-Id: {envelope_id}\n" if envelope_id else ""
    text = f"""\
From: MAILER-DAEMON@mx.harbourline.example (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Date: {formatdate()}
Message-ID: <20261102.{abs(hash((envelope_id, action, status)))}@mx.harbourline.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="cut"

--cut
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--cut
Content-Type: message/delivery-status

{about}Reporting-MTA: dns; mx.harbourline.example
Arrival-Date: {formatdate()}

Final-Recipient: rfc822; {recipient}
Original-Recipient: rfc822;{recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {diagnostic}

--cut
Content-Type: {returned}

From: licensing@serviceme.example
Subject: Encrypted message from the license desk
Message-ID: {message_id}

--cut--
"""
    return text.replace("\n", "\r\n").encode()


def prose(*, to: str = "bounce@desk.example", recipient: str = RECIPIENT) -> bytes:
    """A bounce of qmail's kind: no fields, only words."""
    text = f"""\
From: MAILER-DAEMON@mx.harbourline.example
To: {to}
Subject: failure notice

Hi. This is the qmail-send program at mx.harbourline.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{recipient}>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Subject: Encrypted message from the license desk
"""
    return text.encode()


def absence(*, to: str = "bounce@desk.example") -> bytes:
    """What a mailbox answers while its owner is away; it comes to the return path as bounces do."""
    text = f"""\
From: {RECIPIENT}
To: {to}
Subject: Automatic reply: Encrypted message from the license desk
Auto-Submitted: auto-replied

I am out of office until 9 November. Failed to answer? Call me.
"""
    return text.encode()


def nested(depth: int) -> bytes:
    """Parts within parts."""
    heads = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (each, each) for each in range(depth))
    return b"From: a@b.example\n" + heads + b"x"


def returned(depth: int) -> bytes:
    """Messages within messages."""
    return b"From: a@b.example\n" + b"Content-Type: message/rfc822\n\n" * depth


GARBAGE = {
    "nothing": b"",
    "no header": b"\n\n\n",
    "only zeros": b"\x00" * 5_000,
    "every octet": bytes(range(256)) * 40,
    "a boundary that never ends": b"Content-Type: multipart/report; boundary=x\n\n--x\n--x\n"
    b"--x\nContent-Type: message/delivery-status\n",
    "a report without parts": b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\nno part",
    "a status that is text": b"Content-Type: message/delivery-status\n\nnothing: here\n\nAction\n\n\xff\xfe: \xff\n",
    "an unknown charset": b"Content-Type: text/plain; charset=x-klingon\nSubject: =?x-klingon?B?////?=\n\n\xff\xff",
    "an unknown charset in a field": b"To: =?x-none?Q?=ff?= <a@b.example>\nContent-Type: text/plain\n\nhello",
    "broken base64": b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n====\xff",
    "broken uuencoding": b"Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: x-uuencode\n\nbegin 1\n\xff\n",
    "a boundary of zeros": b'Content-Type: multipart/mixed; boundary="\x00"\n\n--\x00\n\n--\x00--',
    "a continued boundary": b"Content-Type: multipart/mixed; boundary*0=a; boundary*9=\xff; boundary*x=z\n\n--a\n",
    "a huge field": b"To: " + b"a@b.example, " * 15_000 + b"\n\nx",
    "a huge line": b"Content-Type: text/plain\n\n" + b"<" * 200_000,
    "angle brackets": b"Content-Type: text/plain\n\n" + b"Failed: <a@b\n" * 5_000,
    "parts within parts": nested(3_000),
    "messages within messages": returned(3_000),
    "more than is read": b"Content-Type: text/plain\n\n" + b"user unknown\n" * 500_000,
}
"""What must be survived, by what is wrong with it."""
