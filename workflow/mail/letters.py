"""One function per letter: plain facts in, subject, text and HTML out. The words are in `templates/letters/<name>/`.

A letter links to pages; opening one changes nothing. The facts are dataclasses of this module, never rows.
"""

from dataclasses import dataclass
from datetime import date, datetime

from workflow.mail.calendar_file import Entry, Method, calendar_file
from workflow.mail.messages import Attachment, Letter
from workflow.mail.rendering import Reader, lines_of, rendered

LICENSE_MEDIA_TYPE = "application/vnd.serviceme.license"


@dataclass(frozen=True)
class Desk:
    """The sender as the reader sees it: its name, the address of its pages, and a mailbox that people answer."""

    name: str
    url: str
    mailbox: str


@dataclass(frozen=True)
class LicenseFacts:
    """An issued license. Both days count as usable, in `time_zone`. None for a limit means unlimited."""

    license_id: str
    version: int
    company: str
    environment: str
    first_day: date
    last_day: date
    time_zone: str
    modules: tuple[str, ...]
    agents: int | None
    users: int | None
    on_expiry: str
    """what happens after the end: warn, block_new or read_only"""
    grace_last_day: date | None = None
    """last day on which nothing stops yet; None without grace"""
    replaces_version: int | None = None


@dataclass(frozen=True)
class ApplicationFacts:
    """An application for a license. Both days count as usable, in `time_zone`."""

    number: str
    request: str
    """new, renewal or change"""
    company: str
    environment: str
    submitted_by: str
    first_day: date
    last_day: date
    time_zone: str
    agents: int | None
    users: int | None
    url: str
    """its page at the desk"""


@dataclass(frozen=True)
class TermChange:
    """One licensed term that an application would change; `before` is empty when it is granted for the first time."""

    term: str
    before: str
    after: str


@dataclass(frozen=True)
class Missing:
    """How many approvals of one group an application still lacks, and how many of that group it has."""

    group: str
    count: int
    given: int


@dataclass(frozen=True)
class Awaited:
    """How an application that waits stood when the letter was written. Times are shown in `time_zone`, the reader's."""

    since: datetime
    due_at: datetime | None
    is_overdue: bool
    missing: tuple[Missing, ...]
    """empty when only different people are missing"""
    approved_by: tuple[str, ...]
    time_zone: str


@dataclass(frozen=True)
class WaitingApplication:
    """One line of a digest: an application that waits for the reader's decision."""

    application: ApplicationFacts
    awaited: Awaited


@dataclass(frozen=True)
class Trouble:
    """Something that stopped. `answer` is what the machine said, verbatim; may be empty."""

    problem: str
    answer: str
    advice: str


@dataclass(frozen=True)
class TroubledApplication:
    """One line of a digest: an application at which something stopped."""

    application: ApplicationFacts
    trouble: Trouble


@dataclass(frozen=True)
class CredentialsChange:
    """What changed in how an account is opened: `what` is the event's name, `name` that of a token. No secret is among it."""

    what: str
    name: str
    at: datetime
    time_zone: str
    by: str
    channel: str
    network: str | None


@dataclass(frozen=True)
class Doubt:
    """Something wrong in the history, and the application whose chain it is, if there is one."""

    sentence: str
    number: str = ""
    url: str = ""


@dataclass(frozen=True)
class Delivered:
    """How the file reached one recipient, in words: "Accepted by mail server", "Refused, will try again"."""

    recipient: str
    address: str
    status: str


@dataclass(frozen=True)
class Successor:
    """A later version that was sent and is not in force yet."""

    version: int
    sent_to: tuple[str, ...]
    sent_on: date
    last_day: date
    uploaded_url: str
    """the page with the button "already uploaded", for consoles whose receipts come late"""


def license_delivery(reader: Reader, issued: LicenseFacts, raw: bytes, sha256: str, desk: Desk) -> Letter:
    """To an administrator: the license file, what it grants, and how to activate it. Must be encrypted."""
    file = Attachment(f"{issued.license_id}-v{issued.version}.lic", raw, LICENSE_MEDIA_TYPE)
    facts = {"issued": issued, "file": file, "sha256": sha256}
    return rendered("license_delivery", reader, desk, facts, (file,))


def portal_link(reader: Reader, url: str, ends_at: datetime, time_zone: str, desk: Desk) -> Letter:
    """To an administrator without a certificate: where to download the file. Names no customer: it travels in clear."""
    return rendered("portal_link", reader, desk, {"url": url, "ends_at": ends_at, "time_zone": time_zone})


def portal_code(reader: Reader, code: str, minutes: int, desk: Desk) -> Letter:
    """The one-time code that was asked for on the download page. It is not in the subject, which lock screens show."""
    return rendered("portal_code", reader, desk, {"code": code, "minutes": minutes})


def approval_requested(
    reader: Reader,
    application: ApplicationFacts,
    changes: tuple[TermChange, ...],
    note: str,
    desk: Desk,
    *,
    revision: int = 1,
    revised: tuple[TermChange, ...] = (),
) -> Letter:
    """To an approver: what is asked for, and what differs from the license in force; from revision 2 on also `revised`, what
    differs from the revision they were told of before."""
    facts = {"application": application, "changes": changes, "note": note, "revision": revision, "revised": revised}
    return rendered("approval_requested", reader, desk, facts)


def approval_reminder(reader: Reader, application: ApplicationFacts, awaited: Awaited, desk: Desk) -> Letter:
    """To an approver who was asked before: since when it waits, when the answer was or is due, whose approval is missing."""
    return rendered("approval_reminder", reader, desk, {"application": application, "awaited": awaited})


def approval_escalated(
    reader: Reader,
    application: ApplicationFacts,
    awaited: Awaited,
    group: str,
    rule: str,
    desk: Desk,
) -> Letter:
    """To somebody of the group that is asked besides, because nobody decided in time. `rule` is the policy's own sentence."""
    facts = {"application": application, "awaited": awaited, "group": group, "rule": rule}
    return rendered("approval_escalated", reader, desk, facts)


def digest_decisions(reader: Reader, lines: tuple[WaitingApplication, ...], more: int, desk: Desk) -> Letter:
    """To an approver, instead of many letters: what of it still waits for their decision, `more` besides."""
    return rendered("digest_decisions", reader, desk, {"lines": lines, "more": more})


def approved(reader: Reader, application: ApplicationFacts, approvers: tuple[str, ...], desk: Desk) -> Letter:
    """To the liaison: every approval is there; signing and delivery follow without anyone's help."""
    return rendered("approved", reader, desk, {"application": application, "approvers": approvers})


def changes_requested(reader: Reader, application: ApplicationFacts, by: str, comment: str, desk: Desk) -> Letter:
    """To the liaison: an approver sent the application back."""
    return rendered("changes_requested", reader, desk, {"application": application, "by": by, "comment": comment})


def rejected(reader: Reader, application: ApplicationFacts, by: str, comment: str, desk: Desk) -> Letter:
    """To the liaison: an approver closed the application."""
    return rendered("rejected", reader, desk, {"application": application, "by": by, "comment": comment})


def withdrawn(reader: Reader, application: ApplicationFacts, by: str, comment: str, desk: Desk) -> Letter:
    """To an approver: the application needs no decision any more."""
    return rendered("withdrawn", reader, desk, {"application": application, "by": by, "comment": comment})


def delivered(
    reader: Reader,
    application: ApplicationFacts,
    issued: LicenseFacts,
    deliveries: tuple[Delivered, ...],
    desk: Desk,
) -> Letter:
    """To the liaison: the first mail server accepted the file, and how it stands with each recipient."""
    facts = {"application": application, "issued": issued, "deliveries": deliveries}
    return rendered("delivered", reader, desk, facts)


def activated(
    reader: Reader,
    application: ApplicationFacts,
    issued: LicenseFacts,
    at: datetime,
    first_reminder_on: date | None,
    desk: Desk,
) -> Letter:
    """To the liaison: the platform reported the license in force."""
    facts = {"application": application, "issued": issued, "at": at, "first_reminder_on": first_reminder_on}
    # Whoever has the earlier version's last day in the calendar sees it move there.
    moved = (_calendar(reader, issued, desk, at),) if issued.replaces_version else ()
    return rendered("activated", reader, desk, facts, moved)


def needs_attention(reader: Reader, application: ApplicationFacts, trouble: Trouble, desk: Desk) -> Letter:
    """To operators and the liaison: something stopped."""
    return rendered("needs_attention", reader, desk, {"application": application, "trouble": trouble})


def digest_troubles(reader: Reader, lines: tuple[TroubledApplication, ...], more: int, desk: Desk) -> Letter:
    """To operators and the liaison, instead of many letters: everything of it that still stands still, `more` besides."""
    return rendered("digest_troubles", reader, desk, {"lines": lines, "more": more})


def expiry_reminder(
    reader: Reader,
    issued: LicenseFacts,
    days_left: int,
    desk: Desk,
    *,
    written_at: datetime,
    renew_url: str | None = None,
    acknowledge_url: str | None = None,
    successor: Successor | None = None,
) -> Letter:
    """To administrators and the liaison: the last usable day comes in `days_left` days, 0 meaning today.

    With a successor the letter says to upload it, and no longer to renew. `renew_url` opens a prefilled application,
    `acknowledge_url` the page with the "Got it" button. A file for the reader's calendar comes with it.
    """
    facts = {"issued": issued, "days_left": days_left, "successor": successor}
    links = {"renew_url": renew_url, "acknowledge_url": acknowledge_url}
    return rendered("expiry_reminder", reader, desk, {**facts, **links}, (_calendar(reader, issued, desk, written_at),))


def expired(
    reader: Reader,
    issued: LicenseFacts,
    desk: Desk,
    *,
    renew_url: str | None = None,
    successor: Successor | None = None,
) -> Letter:
    """To administrators and the liaison: the last usable day has passed, what stops and what keeps working."""
    return rendered("expired", reader, desk, {"issued": issued, "renew_url": renew_url, "successor": successor})


def not_activated(reader: Reader, issued: LicenseFacts, delivered_on: date, days: int, desk: Desk) -> Letter:
    """To administrators and the liaison: the file was delivered `days` days ago and is not in force."""
    return rendered("not_activated", reader, desk, {"issued": issued, "delivered_on": delivered_on, "days": days})


def revoked(
    reader: Reader,
    issued: LicenseFacts,
    reason: str,
    successor_version: int | None,
    list_url: str,
    desk: Desk,
    *,
    called_back_at: datetime | None = None,
) -> Letter:
    """To administrators and the liaison: the file must not be used any more, why, and what takes its place.

    With `called_back_at`, given when reminders went out before, a file takes the entry out of the readers' calendars.
    """
    facts = {"issued": issued, "reason": reason, "successor_version": successor_version, "list_url": list_url}
    taken_out = (_calendar(reader, issued, desk, called_back_at, Method.CANCEL),) if called_back_at else ()
    return rendered("revoked", reader, desk, facts, taken_out)


def invitation(reader: Reader, url: str, ends_at: datetime, time_zone: str, desk: Desk, *, invited_by: str | None) -> Letter:
    """A one-time link to choose a password: for a new account, or, without `invited_by`, for a forgotten one."""
    facts = {"url": url, "ends_at": ends_at, "time_zone": time_zone, "invited_by": invited_by}
    return rendered("invitation", reader, desk, facts)


def credentials_changed(reader: Reader, change: CredentialsChange, desk: Desk) -> Letter:
    """To somebody whose account is opened in another way now: what changed, when, from where, what to do if it was not them."""
    return rendered("credentials_changed", reader, desk, {"change": change})


def test_mail(reader: Reader, by: str, desk: Desk) -> Letter:
    """To whoever tries the desk's mail: that it arrives, and where to look whether the domain is set up well."""
    return rendered("test_mail", reader, desk, {"by": by})


def history_doubted(reader: Reader, findings: tuple[Doubt, ...], more: int, desk: Desk) -> Letter:
    """To an operator: what the witness found wrong in the history, `more` besides, and what to do."""
    return rendered("history_doubted", reader, desk, {"findings": findings, "more": more})


def _calendar(reader: Reader, issued: LicenseFacts, desk: Desk, at: datetime, method: Method = Method.PUBLISH) -> Attachment:
    url = f"{desk.url}/licenses/{issued.license_id}"
    summary, *description = lines_of("_calendar_entry.txt", reader, {"issued": issued, "url": url})
    entry = Entry(issued.license_id, issued.version, issued.last_day, summary, "\n".join(description), url)
    return calendar_file(entry, desk.mailbox, desk.url, at, method)
