"""What may be signed. The signer trusts no status: whatever somebody changed by hand in the database is not signed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from tests import people
from tests.builders import NOW, Office, answers
from tests.license_file import example
from workflow.db.queries import applications
from workflow.db.tables import Application, EventRow, IssuedLicense, Revision, RoleGrant, VoteRow
from workflow.domain.application import IllegalMove
from workflow.domain.approvals import Choice
from workflow.domain.content import ApplicationContent
from workflow.domain.events import Job
from workflow.domain.terms import LicenseTerms, NamedDefaults
from workflow.license_file import UNLICENSED_MEMBERS, content_digest, decode_claims, sign_license, verify_license
from workflow.services import accounts, decisions, issuing
from workflow.services import applications as applying
from workflow.services.applications import LicensedMeanwhile
from workflow.services.claims import Seal, claims_for, digest_of
from workflow.services.decisions import RevisionMissing
from workflow.services.issuing import ContentChanged, NotApproved
from workflow.times import wall_now

# What is licensed is what was approved: every member of the payload, and where it comes from.

TERM, REQUEST, CUSTOMER, DEFAULT, FIXED = "term", "request", "customer", "named default", "fixed by the format"
SOURCES = {
    "type": (FIXED,),
    "schema": (FIXED,),
    "license_id": (CUSTOMER, "license_id"),
    "licensee.tenant_id": (REQUEST, "tenant_id"),
    "licensee.company": (CUSTOMER, "company"),
    "contact.name": (DEFAULT, "contact_name"),
    "contact.url": (DEFAULT, "contact_url"),
    "contact.mailbox": (DEFAULT, "contact_mailbox"),
    "contact.phone": (DEFAULT, "contact_phone"),
    "environment": (REQUEST, "environment"),
    "valid_from": (TERM, "first_day"),
    "valid_until": (TERM, "last_day"),
    "grace_until": (DEFAULT, "grace_days"),
    "time_zone": (TERM, "time_zone"),
    "on_expiry": (DEFAULT, "on_expiry"),
    "kind": (TERM, "kind"),
    "modules": (TERM, "modules"),
    "model_types": (TERM, "model_types"),
    "limits.agents.max": (TERM, "max_agents"),
    "limits.agents.count": (DEFAULT, "count_agents"),
    "limits.agents.over": (DEFAULT, "over_limit"),
    "limits.users.max": (TERM, "authorized_users"),
    "limits.users.count": (DEFAULT, "count_users"),
    "limits.users.over": (DEFAULT, "over_limit"),
    "restrictions": (TERM, "restrictions"),
    "bindings.mode": (FIXED,),
    "bindings.values": (FIXED,),
    "ext": (FIXED,),
}


def leaves(value: Any, path: str = "") -> set[str]:
    """The dotted names of all members; lists count as one."""
    if not isinstance(value, dict) or not value:
        return {path}
    return {leaf for name, inner in value.items() for leaf in leaves(inner, f"{path}.{name}" if path else name)}


def test_every_licensed_member_is_an_answer_the_approver_saw_or_a_named_default_and_the_other_way_round(office: Office) -> None:
    payload = json.loads(office.license_of(office.issued()).payload)
    licensed = {name: value for name, value in payload.items() if name not in UNLICENSED_MEMBERS}
    assert leaves(licensed) == set(SOURCES)
    used = {source for source in SOURCES.values() if source != (FIXED,)}
    assert {name for kind, name in used if kind == TERM} == {each.name for each in fields(LicenseTerms)}
    assert {name for kind, name in used if kind == DEFAULT} == {each.name for each in fields(NamedDefaults)}
    assert {name for kind, name in used if kind == CUSTOMER} == {"license_id", "company"}
    assert {each.name for each in fields(ApplicationContent)} == {
        "license_id",
        "company",
        "request",
        "restrictions",
        "defaults",
    }


def test_what_nobody_chooses_is_fixed(office: Office) -> None:
    payload = json.loads(office.license_of(office.issued()).payload)
    fixed = {name: payload[name] for name in ("type", "schema", "bindings", "ext")}
    assert fixed == {"type": "license", "schema": 1, "bindings": {"mode": "none", "values": []}, "ext": {}}


def test_the_file_says_what_was_asked_for(office: Office) -> None:
    claims = decode_claims(office.license_of(office.issued()).payload)
    assert (claims.licensee.tenant_id, claims.licensee.company) == ("T-20817", "Harbourline Logistics Co., Ltd.")
    assert [each.code for each in claims.modules] == ["agent-studio", "knowledge-base"]
    assert claims.model_types == ("chat", "embedding")
    assert (claims.limits["agents"].max, claims.limits["users"].max) == (120, 800)
    assert [(each.code, each.text) for each in claims.restrictions] == [
        ("internal-use", "For the licensee's own staff; not for resale or for services to third parties.")
    ]
    assert claims.valid_until - claims.valid_from == timedelta(days=364)
    assert claims.grace_until - claims.valid_until == timedelta(days=14)
    assert claims.issued_at == NOW


def test_what_was_approved_is_sealed_in(office: Office) -> None:
    number = office.issued()
    claims = decode_claims(office.license_of(number).payload)
    with office.work() as session:
        revision, vote = session.exec(select(Revision)).one(), session.exec(select(VoteRow)).one()
    assert claims.issuer.application_id == number
    assert claims.issuer.application_sha256 == hashlib.sha256(revision.content.encode()).hexdigest()
    assert claims.issuer.approvals == 1
    said = [[str(vote.person), 1, revision.content_digest, "approve", office.desk.policy.sha256, vote.event_hash]]
    canonical = json.dumps(said, separators=(",", ":")).encode()
    assert claims.issuer.approvals_sha256 == hashlib.sha256(canonical).hexdigest()


def test_the_license_is_stored_as_it_was_signed_and_its_deliveries_are_owed(office: Office) -> None:
    number = office.issued()
    row = office.license_of(number)
    verified = verify_license(row.envelope, example.trust(), None, NOW)
    assert (verified.payload, verified.payload_sha256) == (row.payload, row.payload_sha256)
    assert (row.license_id, row.version, row.standing) == (verified.claims.license_id, 1, "issued")
    assert row.key_ids == example.signer("issuer-prod").keyid
    assert (str(row.first_day), str(row.last_day)) == ("2026-11-02", "2027-10-31")
    assert row.next_reminder_at is not None
    assert row.next_reminder_at.isoformat() == "2027-10-01T01:00:00+00:00"
    assert office.status(number) == "issued"
    assert len(office.jobs(number, Job.DELIVER)) == 1


def test_an_approved_application_is_signed_once(office: Office) -> None:
    number = office.issued()
    with pytest.raises(IllegalMove):
        office.sign(number)
    with office.work() as session:
        assert len(session.exec(select(IssuedLicense)).all()) == 1


def test_a_higher_version_names_the_file_it_replaces(office: Office) -> None:
    first = office.license_of(office.issued())
    number = office.approved(request="change", limits__users=900)
    claims = decode_claims(office.sign(number).payload)
    assert claims.version == 2
    assert claims.supersedes is not None
    assert (claims.supersedes.version, claims.supersedes.sha256) == (1, first.payload_sha256)


def test_a_company_renamed_after_the_approval_keeps_the_name_that_was_approved(office: Office) -> None:
    number = office.approved()
    with office.work() as session:
        session.execute(text("UPDATE tenant SET company = 'Renamed Ltd.'"))
    assert decode_claims(office.sign(number).payload).licensee.company == "Harbourline Logistics Co., Ltd."


def test_defaults_changed_after_the_approval_change_nothing_that_was_approved(office: Office) -> None:
    number = office.approved()
    office.desk = replace(office.desk, defaults=replace(office.desk.defaults, on_expiry="read_only", grace_days=0))
    claims = decode_claims(office.sign(number).payload)
    assert (claims.on_expiry, claims.grace_until - claims.valid_until) == ("block_new", timedelta(days=14))


# By hand in the database

Tampering = Callable[[Session, Office, Application], None]


def set_approved(session: Session, office: Office, application: Application) -> None:
    """The status alone, without a single vote."""
    session.execute(text("UPDATE application SET status = 'approved'"))


def put_vote(**changes: Any) -> Tampering:
    def change(session: Session, office: Office, application: Application) -> None:
        session.exec(select(VoteRow)).one().sqlmodel_update(changes)

    return change


def sql(statement: str) -> Tampering:
    def change(session: Session, office: Office, application: Application) -> None:
        session.execute(text(statement))

    return change


def put_content(**changes: Any) -> Tampering:
    """Other terms in the stored revision; `digests` says which of its digests are made to fit."""
    digests: tuple[str, ...] = changes.pop("digests", ())

    def change(session: Session, office: Office, application: Application) -> None:
        revision = session.exec(select(Revision)).one()
        document = json.loads(revision.content)
        document["request"] = answers(**changes)
        content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        revision.content = content
        if "content_sha256" in digests:
            revision.content_sha256 = hashlib.sha256(content.encode()).hexdigest()
        if "content_digest" in digests:
            session.flush()
            revision.content_digest = digest_of(applying.content_of(session, application))

    return change


def forged_vote(session: Session, office: Office, application: Application) -> None:
    """A row in the vote table for an approver who never said anything."""
    revision = session.exec(select(Revision)).one()
    session.add(
        VoteRow(
            application=application.id,
            revision=1,
            person=people.id_of(people.APPROVER),
            choice="approve",
            comment="",
            groups="approvers",
            content_digest=revision.content_digest,
            channel="web",
            event_hash="f" * 64,
            at=NOW,
        )
    )
    set_approved(session, office, application)


def borrowed_event(session: Session, office: Office, application: Application) -> None:
    """A forged vote that points at a true event: the liaison's submission."""
    forged_vote(session, office, application)
    session.flush()
    submitted = session.exec(select(EventRow).where(EventRow.type == "application.submitted")).one()
    session.exec(select(VoteRow)).one().event_hash = submitted.hash


@pytest.mark.parametrize(
    ("tampering", "error", "reason"),
    [
        (set_approved, NotApproved, "its votes come to pending. One approver decides."),
        (forged_vote, NotApproved, "history"),
        (borrowed_event, NotApproved, "history"),
    ],
)
def test_an_application_set_to_approved_by_hand_is_not_signed(
    office: Office, tampering: Tampering, error: type[Exception], reason: str
) -> None:
    number = office.submitted()
    with office.work() as session:
        tampering(session, office, applications.get_application(session, number))
    with pytest.raises(error, match=reason):
        office.sign(number)
    assert office.status(number) == "approved", "which is what the page shows beside the reason"


@pytest.mark.parametrize(
    ("tampering", "error"),
    [
        (put_content(limits__users=9_999), ContentChanged),
        (put_content(limits__users=9_999, digests=("content_sha256",)), ContentChanged),
        (put_content(limits__users=9_999, digests=("content_sha256", "content_digest")), NotApproved),
        (put_content(validity__last_day="2029-01-01", digests=("content_sha256",)), ContentChanged),
        (put_content(recipients=["thief@elsewhere.example"]), ContentChanged),
        (sql("UPDATE revision SET content_digest = '" + "0" * 64 + "'"), NotApproved),
        (sql("UPDATE revision SET number = 7"), RevisionMissing),
        (put_vote(content_digest="0" * 64), NotApproved),
        (put_vote(revision=2), NotApproved),
        (put_vote(choice="reject"), NotApproved),
        (put_vote(person=people.LEAD.person_id), NotApproved),
        (put_vote(person=people.LIAISON.person_id), NotApproved),
        (put_vote(person=people.STRANGER.person_id), NotApproved),
        (put_vote(event_hash="0" * 64), NotApproved),
        (sql("DELETE FROM vote"), NotApproved),
        (sql("DELETE FROM role_grant WHERE role = 'approver'"), NotApproved),
        (sql("UPDATE environment SET license_id = 'PROD-00000-00000-00000' WHERE name = 'PROD'"), ContentChanged),
        (
            sql("UPDATE application SET environment = (SELECT id FROM environment WHERE name = 'DEV')"),
            ContentChanged,
        ),
    ],
)
def test_what_was_altered_after_the_approval_is_not_signed(
    office: Office, tampering: Tampering, error: type[Exception]
) -> None:
    number = office.approved()
    with office.work() as session:
        tampering(session, office, applications.get_application(session, number))
    with pytest.raises(error):
        office.sign(number)
    with office.work() as session:
        assert session.exec(select(IssuedLicense)).all() == []
    assert office.status(number) == "approved"


def test_terms_altered_consistently_in_revision_and_vote_are_still_not_what_the_history_tells(office: Office) -> None:
    number = office.approved()
    with office.work() as session:
        application = applications.get_application(session, number)
        put_content(limits__users=9_999, digests=("content_sha256", "content_digest"))(session, office, application)
        session.flush()
        session.exec(select(VoteRow)).one().content_digest = session.exec(select(Revision)).one().content_digest
    with pytest.raises(NotApproved, match="history"):
        office.sign(number)


def test_a_rejection_turned_into_an_approval_by_hand_is_not_signed(office: Office) -> None:
    number = office.submitted()
    office.vote(number, Choice.REJECT)
    with office.work() as session:
        session.execute(text("UPDATE vote SET choice = 'approve'"))
        session.execute(text("UPDATE application SET status = 'approved'"))
    with pytest.raises(NotApproved, match="history"):
        office.sign(number)


def test_an_approval_of_an_altered_history_is_not_signed(office: Office) -> None:
    """The triggers were dropped and the line in the history was changed with the vote."""
    number = office.submitted()
    office.vote(number, Choice.REJECT)
    with office.work() as session:
        names = (
            ("DROP TRIGGER event_no_update",)
            if session.get_bind().dialect.name == "sqlite"
            else ("DROP TRIGGER event_no_change ON event",)
        )
        for statement in (
            *names,
            "UPDATE vote SET choice = 'approve'",
            "UPDATE application SET status = 'approved'",
            "UPDATE event SET type = 'application.approval_recorded' WHERE type = 'application.rejected'",
        ):
            session.execute(text(statement))
    with pytest.raises(NotApproved, match="history"):
        office.sign(number)


@pytest.mark.parametrize("how", ["rescinded", "withdrawn"])
def test_an_approval_that_was_taken_back_is_not_signed_because_the_status_was_put_back(office: Office, how: str) -> None:
    number = office.approved()
    with office.work() as session:
        application = applications.get_application(session, number)
        if how == "rescinded":
            decisions.rescind(session, people.APPROVER, application, application.version, "Wrong dates.", NOW)
        else:
            applying.withdraw(session, people.LIAISON, application, application.version, "", NOW)
    with office.work() as session:
        session.execute(text("UPDATE application SET status = 'approved'"))
    with pytest.raises(NotApproved, match="history"):
        office.sign(number)


def test_an_approval_given_before_the_role_was_held_does_not_count(office: Office) -> None:
    number = office.approved()
    with office.work() as session:
        grant = session.exec(select(RoleGrant).where(RoleGrant.person == people.APPROVER.person_id)).one()
        grant.granted_at = NOW + timedelta(seconds=1)
    with pytest.raises(NotApproved):
        office.sign(number)


def test_an_approver_who_left_after_the_approval_has_approved(office: Office) -> None:
    number = office.approved()
    with office.work() as session:
        accounts.disable_person(
            session, people.OPERATOR, people.id_of(people.APPROVER), now=NOW + timedelta(hours=1), wall=wall_now()
        )
        grant = session.exec(select(RoleGrant).where(RoleGrant.person == people.APPROVER.person_id)).one()
        grant.revoked_at = NOW + timedelta(hours=1)
    office.now = NOW + timedelta(hours=2)
    assert office.sign(number).version == 1


def test_an_approval_that_was_taken_back_and_given_again_is_signed_for_the_new_revision(office: Office) -> None:
    number = office.approved()
    with office.work() as session:
        application = applications.get_application(session, number)
        decisions.rescind(session, people.APPROVER, application, application.version, "Wrong dates.", NOW)
    office.submit(number)
    office.vote(number, actor=people.LEAD)
    claims = decode_claims(office.sign(number).payload)
    assert claims.issuer.approvals == 1


def test_two_signers_at_once_store_one_license(office: Office) -> None:
    """Both have built their claims before either stored anything."""
    number = office.approved()
    with office.work() as session:
        claims = office.claims_to_sign(session, number)
        stale = applications.get_application(session, number)
    office.sign(number)
    raw = sign_license(claims, [example.signer("issuer-prod")])
    verified = verify_license(raw, example.trust(), None, NOW)
    with pytest.raises(Exception, match="signed the license"), office.work() as session:
        issuing.record_issued(session, people.OPERATOR, office.desk, [issuing.Signed(stale, raw, verified)], NOW)


def test_what_could_not_be_signed_says_so_on_its_page_and_to_those_who_can_help(office: Office) -> None:
    number = office.approved()
    with office.work() as session:
        application = applications.get_application(session, number)
        issuing.record_signing_failed(session, people.OPERATOR, application, "The key is missing.", NOW)
    shown = office.application(number)
    assert (shown.status, shown.attention) == ("approved", "The license was not signed. The key is missing.")
    told = [name for letter, name in office.letters(number) if letter == "needs_attention"]
    assert told == ["Lin Mei", "Omar Reyes", "Priya Nair"]
    office.sign(number)
    assert office.application(number).attention is None


def test_the_digest_of_what_is_approved_does_not_depend_on_the_seal(office: Office) -> None:
    number = office.issued()
    with office.work() as session:
        content = applying.content_of(session, applications.get_application(session, number))
    signed = decode_claims(office.license_of(number).payload)
    seal = Seal(7, None, replace(signed.issuer, approvals=3), NOW + timedelta(days=1), "f" * 32)
    assert content_digest(claims_for(content, seal)) == content_digest(signed)


def test_of_two_first_applications_approved_at_once_the_second_does_not_become_a_version_of_the_first(office: Office) -> None:
    first, second = office.approved(), office.approved(limits__users=20)
    office.sign(first)
    with pytest.raises(LicensedMeanwhile, match="makes it a change"):
        office.sign(second)
