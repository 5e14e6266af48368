"""One realistic example of every letter, in any language: what operators are shown, and what the tests look at."""

from dataclasses import replace
from datetime import UTC, date, datetime

from workflow.license_file.wording import say
from workflow.mail import letters
from workflow.mail.letters import (
    ApplicationFacts,
    Awaited,
    CredentialsChange,
    Delivered,
    Desk,
    Doubt,
    LicenseFacts,
    Missing,
    Successor,
    TermChange,
    Trouble,
    TroubledApplication,
    WaitingApplication,
)
from workflow.mail.messages import Letter
from workflow.mail.rendering import Reader

DESK = Desk("SERVICEME license desk", "https://desk.serviceme.example", "licensing@serviceme.example")
ISSUED = LicenseFacts(
    license_id="PROD-7K3QM-X2V9D-4HTRB",
    version=3,
    company="Harbourline Logistics Co., Ltd.",
    environment="PROD",
    first_day=date(2026, 4, 1),
    last_day=date(2027, 3, 31),
    time_zone="Asia/Shanghai",
    modules=("Agent Studio", "Knowledge Base", "API Access"),
    agents=120,
    users=None,
    on_expiry="block_new",
    grace_last_day=date(2027, 4, 14),
    replaces_version=2,
)
APPLICATION = ApplicationFacts(
    number="APP-2026-0142",
    request="renewal",
    company="Harbourline Logistics Co., Ltd.",
    environment="PROD",
    submitted_by="Lin Mei",
    first_day=date(2026, 4, 1),
    last_day=date(2027, 3, 31),
    time_zone="Asia/Shanghai",
    agents=120,
    users=800,
    url="https://desk.serviceme.example/applications/APP-2026-0142",
)
CHANGES = (
    TermChange("Maximum agents", "80", "120"),
    TermChange("Authorized users", "500", "800"),
    TermChange("Modules", "2", "3 (+ API Access)"),
)
NOTE = "Annual renewal under order PO-88213. Two warehouses go live in January, so agents rise from 80 to 120."
COMMENT = "The contract covers 100 agents only.\nAttach the signed extension, or ask for 100."
RAW = b'{"payloadType": "application/vnd.serviceme.license.v1+json"}\n' * 40
SHA256 = "9b74c9897bac770ffc029102a200c5de1f2d8d0c6e4b9a5f7c1e3d2b4a6f8e0c"
MOMENT = datetime(2026, 11, 27, 6, 37, tzinfo=UTC)
SUCCESSOR = Successor(
    4, ("Zhang Wei", "ops-admins@harbourline.example"), date(2027, 3, 10), date(2028, 3, 31), DESK.url + "/licenses/1/uploaded"
)
AWAITED = Awaited(
    since=datetime(2026, 11, 20, 8, 0, tzinfo=UTC),
    due_at=datetime(2026, 11, 24, 8, 0, tzinfo=UTC),
    is_overdue=True,
    missing=(Missing("approvers", 1, 1), Missing("security", 1, 0)),
    approved_by=(say("%(person)s for %(absent)s", person="Tomas Varga", absent="Sofia Marin"),),
    time_zone="Asia/Shanghai",
)
ESCALATED = replace(AWAITED, missing=(Missing("security", 1, 0), Missing("leads", 1, 0)), approved_by=())
RULE = "Nobody decided within 3 business days: one of leads as well."
TROUBLE = Trouble(
    say("The license file could not be delivered to %(address)s.", address="ops-admins@harbourline.example"),
    "550 5.1.1 <ops-admins@harbourline.example>: Recipient address rejected: User unknown",
    say("Open the application to try again, or add another recipient."),
)
UNSIGNED = Trouble(
    say("The license was not signed."), "", say("Open the application, mend what it says, and retry the job under Operations.")
)
OTHER = replace(APPLICATION, number="APP-2026-0150", company="Northwind Öl & Gas AG", environment="UAT", request="new")
CHANGE = CredentialsChange("person.password_changed", "", MOMENT, "Asia/Shanghai", "Lin Mei", "web", "203.0.113.7")
RENEW = DESK.url + "/licenses/PROD-7K3QM-X2V9D-4HTRB/renew"
GOT_IT = DESK.url + "/reminders/8f2c/acknowledge"
REASON = "It named one module too many."
FINDINGS = (
    Doubt("Event 2 of APP-2026-0142 was altered.", "APP-2026-0142", DESK.url + "/applications/APP-2026-0142"),
    Doubt("Event 5 of the desk's own history is missing."),
)
LIST_URL = DESK.url + "/api/v1/revocations"

TITLES = {
    "license_delivery": "License delivery",
    "portal_link": "Download link",
    "portal_code": "One-time code",
    "approval_requested": "Approval needed",
    "approval_requested-revised": "Approval needed, changed",
    "approval_reminder": "Approval overdue",
    "approval_reminder-early": "Approval, reminder",
    "approval_escalated": "Approval, escalated",
    "digest_decisions": "Digest of approvals",
    "digest_decisions-one": "Digest of one approval",
    "approved": "Approved",
    "changes_requested": "Sent back",
    "rejected": "Rejected",
    "withdrawn": "Withdrawn",
    "delivered": "Delivered",
    "activated": "Activated",
    "not_activated": "Not activated yet",
    "needs_attention": "Needs attention",
    "digest_troubles": "Digest of what stopped",
    "expiry_reminder": "Reminder, 7 days",
    "expiry_reminder-admin-today": "Reminder, last day",
    "expiry_reminder-successor": "Reminder, version sent",
    "expired": "License ended",
    "expired-successor": "License ended, version sent",
    "revoked": "Revoked",
    "revoked-successor": "Revoked and replaced",
    "invitation": "Invitation",
    "invitation-password": "New password",
    "credentials_changed": "Account changed",
    "credentials_changed-token": "Token made",
    "history_doubted": "History in doubt",
    "test_mail": "Test mail",
}
"""What operators call each of them, in the order of the path."""


def every_letter(language: str = "en") -> dict[str, Letter]:
    """Each letter by name, with a second form where one exists."""
    reader, admin, approver = (Reader(name, language) for name in ("Lin Mei", "Zhang Wei", "Daniel Osei"))
    zone = "Asia/Shanghai"
    return {
        "license_delivery": letters.license_delivery(admin, ISSUED, RAW, SHA256, DESK),
        "portal_link": letters.portal_link(admin, DESK.url + "/d/Zk3vQ0Yx8s1u", MOMENT, zone, DESK),
        "portal_code": letters.portal_code(admin, "7K3Q-MX2V", 10, DESK),
        "approval_requested": letters.approval_requested(approver, APPLICATION, CHANGES, NOTE, DESK),
        "approval_requested-revised": letters.approval_requested(
            approver,
            APPLICATION,
            CHANGES,
            NOTE,
            DESK,
            revision=2,
            revised=(TermChange("Recipients", "1", "2 (+ b@x.example)"),),
        ),
        "approval_reminder": letters.approval_reminder(approver, APPLICATION, AWAITED, DESK),
        "approval_reminder-early": letters.approval_reminder(
            approver, APPLICATION, replace(AWAITED, is_overdue=False, missing=(), approved_by=("Lin Tao",)), DESK
        ),
        "approval_escalated": letters.approval_escalated(approver, APPLICATION, ESCALATED, "leads", RULE, DESK),
        "digest_decisions": letters.digest_decisions(
            approver,
            (
                WaitingApplication(APPLICATION, AWAITED),
                WaitingApplication(OTHER, replace(ESCALATED, is_overdue=False)),
                WaitingApplication(replace(OTHER, number="APP-2026-0151", environment="DEV"), replace(ESCALATED, due_at=None)),
            ),
            12,
            DESK,
        ),
        "digest_decisions-one": letters.digest_decisions(approver, (WaitingApplication(APPLICATION, AWAITED),), 0, DESK),
        "digest_troubles": letters.digest_troubles(
            reader, (TroubledApplication(APPLICATION, TROUBLE), TroubledApplication(OTHER, UNSIGNED)), 0, DESK
        ),
        "credentials_changed": letters.credentials_changed(reader, CHANGE, DESK),
        "credentials_changed-token": letters.credentials_changed(
            reader, replace(CHANGE, what="token.made", name="nightly export", channel="cli", network=None, by="root"), DESK
        ),
        "history_doubted": letters.history_doubted(
            reader,
            FINDINGS,
            3,
            DESK,
        ),
        "approved": letters.approved(reader, APPLICATION, ("Daniel Osei", "Sofia Marin"), DESK),
        "changes_requested": letters.changes_requested(reader, APPLICATION, "Daniel Osei", COMMENT, DESK),
        "rejected": letters.rejected(reader, APPLICATION, "Daniel Osei", COMMENT, DESK),
        "withdrawn": letters.withdrawn(approver, APPLICATION, "Lin Mei", "Ordered twice.", DESK),
        "delivered": letters.delivered(
            reader,
            APPLICATION,
            ISSUED,
            (
                Delivered("Zhang Wei", "wei.zhang@harbourline.example", say("Accepted by mail server")),
                Delivered("Platform operations", "ops-admins@harbourline.example", say("Not sent yet, will try again")),
            ),
            DESK,
        ),
        "activated": letters.activated(reader, APPLICATION, ISSUED, MOMENT, date(2027, 3, 24), DESK),
        "needs_attention": letters.needs_attention(
            reader,
            APPLICATION,
            TROUBLE,
            DESK,
        ),
        "expiry_reminder": letters.expiry_reminder(
            admin, ISSUED, 7, DESK, written_at=MOMENT, renew_url=RENEW, acknowledge_url=GOT_IT
        ),
        "expiry_reminder-admin-today": letters.expiry_reminder(admin, ISSUED, 0, DESK, written_at=MOMENT),
        "expiry_reminder-successor": letters.expiry_reminder(
            admin, ISSUED, 1, DESK, written_at=MOMENT, acknowledge_url=GOT_IT, successor=SUCCESSOR
        ),
        "expired": letters.expired(reader, ISSUED, DESK, renew_url=RENEW),
        "expired-successor": letters.expired(admin, ISSUED, DESK, successor=SUCCESSOR),
        "not_activated": letters.not_activated(admin, ISSUED, date(2026, 11, 24), 3, DESK),
        "revoked": letters.revoked(admin, ISSUED, REASON, None, LIST_URL, DESK),
        "revoked-successor": letters.revoked(admin, ISSUED, REASON, 4, LIST_URL, DESK, called_back_at=MOMENT),
        "invitation": letters.invitation(reader, DESK.url + "/welcome/4f1a", MOMENT, zone, DESK, invited_by="Grace Okafor"),
        "test_mail": letters.test_mail(reader, "Grace Okafor", DESK),
        "invitation-password": letters.invitation(reader, DESK.url + "/welcome/4f1a", MOMENT, zone, DESK, invited_by=None),
    }
