"""What a liaison does: write an application, hand it in, hand it in again, take it back, renew, copy."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests import people
from tests.builders import NOW, WEI, YU, Office, answers
from workflow.db.queries import applications, customers, licenses
from workflow.db.queries.moves import AlreadyMoved
from workflow.db.tables import Application, EventRow, JobRow, Revision
from workflow.domain.application import IllegalMove
from workflow.domain.approvals import Choice
from workflow.domain.catalogue import Entry
from workflow.domain.events import Job
from workflow.domain.roles import Actor, MissingRole
from workflow.domain.terms import EnvironmentName, TermsRefused
from workflow.license_file import ReceiptEvent
from workflow.services import applications as applying
from workflow.services import customers as customer_services
from workflow.services import recipients
from workflow.services.applications import LicensedMeanwhile, NothingToRenew, NotYours, RenewalOpen


def refusals(office: Office, **changes: Any) -> dict[str, str]:
    """The code of the problem with each field of an application that is refused."""
    with pytest.raises(TermsRefused) as refused:
        office.submitted(**changes)
    return {each.field: each.code for each in refused.value.problems}


def rows(office: Office, kind: type[Any]) -> list[Any]:
    with office.work() as session:
        return list(session.exec(select(kind)))


# Drafts


def test_a_draft_keeps_what_was_typed_complete_or_not(office: Office) -> None:
    number = office.draft(limits__agents="many", modules=None)
    draft = office.application(number)
    assert (draft.status, draft.version, draft.revision) == ("draft", 1, 0)
    assert '"many"' in draft.draft
    assert draft.title == "Harbourline Logistics Co., Ltd. PROD"
    assert office.said(number) == ["application.drafted"]
    assert office.jobs(number) == []


def test_saving_again_changes_the_draft_and_leaves_no_second_mark(office: Office) -> None:
    number = office.draft()
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(note="New."), NOW, application=application, seen_version=1)
    draft = office.application(number)
    assert (draft.version, draft.status) == (2, "draft")
    assert "New." in draft.draft
    assert office.said(number) == ["application.drafted"]


def test_a_draft_saved_in_another_window_meanwhile_is_not_written_over(office: Office) -> None:
    number = office.draft()
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(note="First."), NOW, application=application, seen_version=1)
    with office.work() as session:
        application = applications.get_application(session, number)
        with pytest.raises(AlreadyMoved):
            applying.save_draft(session, people.LIAISON, answers(note="2nd."), NOW, application=application, seen_version=1)
    assert "First." in office.application(number).draft


def test_a_draft_read_before_another_saved_it_is_not_written_over(office: Office) -> None:
    number = office.draft()
    read_before = office.application(number)
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(note="First."), NOW, application=application)
    with office.work() as session:
        session.add(read_before)
        with pytest.raises(AlreadyMoved):
            applying.save_draft(session, people.LIAISON, answers(note="Second."), NOW, application=read_before)
    assert "First." in office.application(number).draft


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"tenant_id": "T-\x00", "environment": "\x00", "request": ["new"], "label": {"a": 1}},
        {"tenant_id": "\ud800", "environment": "\udfff", "note": "\ud800"},
        {"tenant_id": 7, "environment": 3.5, "request": {}, "x": [None, True, float("inf")]},
        {"tenant_id": "T" * 5_000, "environment": "P" * 5_000},
    ],
)
def test_whatever_is_typed_can_be_saved_and_is_refused_with_words_when_it_is_handed_in(
    office: Office, raw: dict[str, Any]
) -> None:
    with office.work() as session:
        number = applying.save_draft(session, people.LIAISON, raw, NOW).number
    with pytest.raises(TermsRefused):
        office.submit(number)
    assert office.status(number) == "draft"


@pytest.mark.parametrize("actor", [each for each in people.EVERYBODY if each is not people.LIAISON], ids=lambda each: each.name)
def test_nobody_but_a_liaison_applies(office: Office, actor: Actor) -> None:
    with pytest.raises(MissingRole, match="liaison"):
        office.draft(actor)
    assert rows(office, Application) == []


# Handing in


def test_handing_in_freezes_every_word_and_asks_the_approvers(office: Office) -> None:
    number = office.submitted()
    (revision,) = rows(office, Revision)
    assert revision.number == 1
    assert revision.author == people.LIAISON.person_id
    for word in ("Harbourline Logistics Co., Ltd.", "For the licensee's own staff", "C-2026-77", "Order PO-88213."):
        assert word in revision.content
    assert office.said(number) == ["application.drafted", "application.submitted"]
    assert len(office.letters(number)) == len(people.APPROVERS)
    shown = office.application(number)
    assert (shown.status, shown.revision, shown.submitted_at) == ("submitted", 1, NOW)


def test_an_application_that_is_refused_leaves_nothing_behind(office: Office) -> None:
    before = len(rows(office, EventRow))
    assert refusals(office, limits__users=0) == {"limits.users": "out_of_range"}
    assert (rows(office, Application), rows(office, Revision), rows(office, JobRow)) == ([], [], [])
    assert len(rows(office, EventRow)) == before
    assert office.submitted() == "APP-2026-0001", "not even its number is used up"


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"tenant_id": "T-99999"}, "tenant_id", "unknown"),
        ({"label": "second"}, "label", "unknown"),
        ({"recipients": [WEI, "who@harbourline.example"]}, "recipients", "unknown"),
        ({"request": "renewal"}, "request", "has_no_license"),
        ({"request": "change"}, "request", "has_no_license"),
        ({"validity__last_day": "2030-12-31"}, "validity.last_day", "too_long"),
        ({"validity__first_day": "2026-01-01", "validity__last_day": "2026-11-01"}, "validity.last_day", "in_the_past"),
    ],
)
def test_terms_that_do_not_fit_this_customer_are_named_by_their_field(
    office: Office, changes: dict[str, Any], field: str, code: str
) -> None:
    assert refusals(office, **changes) == {field: code}


def test_whether_the_last_day_has_passed_is_asked_where_the_customer_is(office: Office) -> None:
    office.now = NOW.replace(day=2, hour=17)  # in Shanghai it is the third already
    one_day = {"validity__first_day": "2026-11-02", "validity__last_day": "2026-11-02"}
    assert refusals(office, **one_day) == {"validity.last_day": "in_the_past"}
    office.submitted(**one_day, validity__time_zone="Europe/Berlin")


def test_a_file_that_would_be_too_large_to_sign_is_refused_before_anyone_approves_it(office: Office) -> None:
    entries = tuple(Entry(code=f"module-with-a-long-name-{number:03d}", name="M") for number in range(150))
    office.desk = office.with_catalogue(modules=entries)
    everything = [entry.code for entry in entries]
    assert refusals(office, modules=everything) == {"modules": "file_too_large"}
    number = office.submitted(modules=everything[:60])
    office.vote(number)
    assert len(office.sign(number).payload) <= 4_000


def test_a_second_new_license_for_the_same_environment_is_refused(office: Office) -> None:
    office.issued()
    assert refusals(office) == {"request": "has_a_license"}
    office.submitted(environment="UAT")


def two_first_applications(office: Office) -> tuple[str, str]:
    """Both submitted before either led to a license; the first is issued."""
    first, second = office.submitted(), office.submitted(limits__users=20)
    office.vote(first)
    office.sign(first)
    return first, second


def test_of_two_first_applications_the_second_is_not_approved_but_becomes_a_change(office: Office) -> None:
    _, second = two_first_applications(office)
    with pytest.raises(LicensedMeanwhile, match="version 1 was issued for this platform"):
        office.vote(second)
    office.vote(second, Choice.REQUEST_CHANGES)
    with office.work() as session:
        application = applications.get_application(session, second)
        applying.save_draft(session, people.LIAISON, answers(request="change", limits__users=20), NOW, application=application)
    office.submit(second)
    office.vote(second)
    assert office.sign(second).version == 2


def test_a_second_application_for_a_first_license_can_be_approved_once_the_first_has_ended(office: Office) -> None:
    first, second = two_first_applications(office)
    with office.work() as session:
        licenses.get_of_application(session, applications.get_application(session, first).id).standing = "expired"
    office.vote(second)
    assert office.status(second) == "approved"


def test_a_license_that_waits_for_its_day_counts_as_one(office: Office) -> None:
    number = office.delivered(validity__first_day="2026-12-01")
    office.confirm()
    office.report(number, ReceiptEvent.SCHEDULED)
    assert refusals(office) == {"request": "has_a_license"}


def test_a_labelled_environment_has_a_license_id_of_its_own(office: Office) -> None:
    with office.work() as session:
        tenant = customers.get_tenant(session, "T-20817")
        customer_services.add_environment(session, people.LIAISON, tenant, EnvironmentName.PROD, "second", NOW)
    assert office.license_of(office.issued()).license_id != office.license_of(office.issued(label="second")).license_id


# Handing in again


def test_a_revised_application_starts_a_new_revision_in_the_same_queue(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(limits__users=900), NOW, application=application)
    office.submit(number)
    assert (office.status(number), office.application(number).revision) == ("submitted", 2)
    revised = office.history(number)[-1]
    assert revised.type == "application.revised"
    assert '"content_changed":true' in revised.payload


def test_a_changed_note_is_not_a_changed_license(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(session, people.LIAISON, answers(note="In a hurry."), NOW, application=application)
    office.submit(number)
    assert '"content_changed":false' in office.history(number)[-1].payload
    first, second = sorted(rows(office, Revision), key=lambda each: each.number)
    assert first.content_digest == second.content_digest
    assert first.content_sha256 != second.content_sha256


def test_a_submitted_application_shows_its_submitted_terms_while_the_next_draft_is_written(office: Office) -> None:
    number = office.submitted()
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.save_draft(
            session, people.LIAISON, answers(environment="DEV", request="renewal"), NOW, application=application
        )
    shown = office.application(number)
    assert (shown.title, shown.request) == ("Harbourline Logistics Co., Ltd. PROD", "new")


def test_what_was_sent_back_can_be_answered_and_is_decided_anew(office: Office) -> None:
    number = office.submitted()
    office.vote(number, Choice.REQUEST_CHANGES)
    office.submit(number)
    assert office.status(number) == "submitted"
    assert office.said(number)[-1] == "application.submitted"
    office.vote(number)
    assert office.status(number) == "approved"


def test_somebody_elses_application_cannot_be_changed_by_another_liaison(office: Office) -> None:
    number = office.submitted()
    colleague = Actor("Other Liaison", people.APPROVER.person_id, people.LIAISON.roles)
    with office.work() as session:
        application = applications.get_application(session, number)
        for attempt in (
            lambda: applying.save_draft(session, colleague, answers(), NOW, application=application),
            lambda: applying.submit(session, colleague, office.desk, application, application.version, NOW),
            lambda: applying.withdraw(session, colleague, application, application.version, "", NOW),
        ):
            with pytest.raises(NotYours):
                attempt()


def test_a_form_older_than_the_decision_is_refused_with_who_decided(office: Office) -> None:
    number = office.submitted()
    seen = office.application(number).version
    office.vote(number)
    with office.work() as session:
        application = applications.get_application(session, number)
        with pytest.raises(AlreadyMoved, match="Daniel Osei approved it on 2 Nov 2026 at 09:00 UTC"):
            applying.submit(session, people.LIAISON, office.desk, application, seen, NOW)


# Taking back


@pytest.mark.parametrize("state", ["draft", "submitted", "approved"])
def test_an_application_can_be_taken_back_until_its_license_is_issued(office: Office, state: str) -> None:
    number: str = getattr(office, state)()
    with office.work() as session:
        application = applications.get_application(session, number)
        applying.withdraw(session, people.LIAISON, application, application.version, " Ordered twice. ", NOW)
    assert office.status(number) == "withdrawn"
    last = office.history(number)[-1]
    assert (last.type, last.payload) == ("application.withdrawn", '{"comment":"Ordered twice."}')


def test_the_approvers_learn_of_a_withdrawal_only_if_they_were_ever_asked(office: Office) -> None:
    def withdrawn(number: str) -> int:
        with office.work() as session:
            application = applications.get_application(session, number)
            applying.withdraw(session, people.LIAISON, application, application.version, "", NOW)
        return [letter for letter, _ in office.letters(number)].count("withdrawn")

    assert withdrawn(office.submitted()) == len(people.APPROVERS)
    assert withdrawn(office.draft()) == 0


def test_after_it_was_issued_nothing_can_be_taken_back(office: Office) -> None:
    number = office.issued()
    with office.work() as session:
        application = applications.get_application(session, number)
        with pytest.raises(IllegalMove, match="is issued, so it cannot be withdrawn"):
            applying.withdraw(session, people.LIAISON, application, application.version, "", NOW)


# Renewing and copying


def started(office: Office, number: str) -> Application:
    with office.work() as session:
        issued = licenses.get_of_application(session, applications.get_application(session, number).id)
        return applying.start_renewal(session, people.LIAISON, issued, office.now)


def test_a_renewal_is_filled_in_from_the_license_and_linked_to_it(office: Office) -> None:
    first = office.activated(restrictions=["internal-use", "mainland-china"], recipients=[WEI, YU])
    office.now += timedelta(days=350)
    draft = started(office, first)
    with office.work() as session:
        content = applying.read_draft(session, office.desk, applications.get_application(session, draft.number), office.now)
    with office.work() as session:
        before = applying.content_of(session, applications.get_application(session, first))
    assert draft.renews == office.application(first).id
    assert content.request.request == "renewal"
    for same in ("modules", "model_types", "restrictions", "max_agents", "authorized_users", "time_zone", "kind"):
        assert getattr(content.terms, same) == getattr(before.terms, same)
    assert content.request.recipients == (WEI, YU)
    assert content.license_id == before.license_id
    assert content.terms.first_day == date(2027, 10, 18), "it takes over on the day it is activated"
    assert content.terms.last_day == date(2028, 10, 30), "a year after the one before"
    assert (content.request.note, content.request.contract_reference) == ("", "")


@pytest.mark.parametrize(
    ("kind", "last_day"), [("standard", "2027-11-01"), ("trial", "2026-12-31"), ("extension", "2026-12-02")]
)
def test_a_renewal_can_be_handed_in_as_it_is_filled_in(office: Office, kind: str, last_day: str) -> None:
    """The longest first license of each kind, renewed a week before its end."""
    environments = ("DEV", "UAT", "PROD")
    first = [office.issued(environment=each, kind=kind, validity__last_day=last_day) for each in environments]
    office.now = NOW + (date.fromisoformat(last_day) - NOW.date()) - timedelta(days=7)
    for number in first:
        renewal = office.renewal_of(number)
        assert office.status(renewal) == "submitted"
        with office.work() as session:
            terms = applying.content_of(session, applications.get_application(session, renewal)).terms
        assert terms.last_day > date.fromisoformat(last_day)


def test_a_recipient_who_left_is_not_filled_in_again(office: Office) -> None:
    first = office.issued(recipients=[WEI, YU])
    with office.work() as session:
        tenant = customers.get_tenant(session, "T-20817")
        yu = customers.find_recipient(session, tenant.id, YU)
        assert yu is not None
        recipients.remove_recipient(session, people.LIAISON, yu.id, NOW)
    assert f'"recipients": ["{WEI}"]' in started(office, first).draft


def test_a_second_renewal_is_refused_while_one_is_open(office: Office) -> None:
    first = office.issued()
    renewal = started(office, first)
    with pytest.raises(RenewalOpen, match=f"{renewal.number} renews this license already"):
        started(office, first)


def test_after_a_renewal_was_taken_back_another_can_be_started(office: Office) -> None:
    first = office.issued()
    renewal = started(office, first)
    with office.work() as session:
        application = applications.get_application(session, renewal.number)
        applying.withdraw(session, people.LIAISON, application, application.version, "", NOW)
    assert started(office, first).renews == office.application(first).id


def revoked(office: Office, number: str) -> str:
    """Revoked by an operator: the license's number."""
    with office.work() as session:
        application = applications.get_application(session, number)
        issued = licenses.get_of_application(session, application.id)
        issued.standing, application.status = "revoked", "revoked"
        return issued.license_id


def test_a_revoked_license_is_not_renewed_but_the_version_before_it_is(office: Office) -> None:
    first = office.activated()
    second = office.renewal_of(first)
    office.vote(second)
    office.sign(second)
    license_id = revoked(office, second)
    with pytest.raises(NothingToRenew):
        started(office, second)
    with office.work() as session:
        assert applying.version_to_renew(session, people.LIAISON, license_id).version == 1
    assert started(office, first).renews == office.application(first).id


def test_a_license_whose_every_version_is_revoked_is_applied_for_anew(office: Office) -> None:
    license_id = revoked(office, office.issued())
    with office.work() as session, pytest.raises(NothingToRenew, match="Start a new application"):
        applying.version_to_renew(session, people.LIAISON, license_id)


def test_a_renewal_sent_in_by_a_program_is_linked_to_the_license_too(office: Office) -> None:
    first = office.issued()
    second = office.submitted(request="renewal", tenant_id=" T-20817 ", validity__last_day="2028-10-31")
    assert office.application(second).renews == office.application(first).id


def test_a_copy_starts_anew_with_the_same_answers(office: Office) -> None:
    source = office.submitted()
    office.vote(source, Choice.REJECT)
    with office.work() as session:
        copied = applying.copy_as_new(session, people.LIAISON, applications.get_application(session, source), NOW)
    assert copied.number != source
    assert copied.copied_from == office.application(source).id
    (drafted,) = office.history(copied.number)
    assert json.loads(drafted.payload)["copied_from"] == source
    office.submit(copied.number)
    assert (office.status(copied.number), office.status(source)) == ("submitted", "rejected")


def test_a_signing_job_is_owed_once_for_each_approval(office: Office) -> None:
    number = office.approved()
    assert [job.state for job in office.jobs(number, Job.SIGN)] == ["pending"]
