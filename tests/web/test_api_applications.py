"""A program applies, decides and follows: the path of an application over the API, on both databases."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.web.api import Program, pointers, problem, terms
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.queries import people
from workflow.domain.events import Job
from workflow.domain.roles import Actor
from workflow.domain.terms import day_in
from workflow.license_file import verify_license
from workflow.services import delegations
from workflow.times import utc_now, wall_now

As = Callable[[str], Program]


def applied(liaison: Program, **changes: Any) -> str:
    answer = liaison.post("/applications", terms(**changes))
    assert answer.status_code == 201, answer.text
    number: str = answer.json()["number"]
    return number


def test_a_program_takes_an_application_to_the_signed_file(program: As, company: Company) -> None:
    liaison, approver = program("liaison"), program("approver")
    answer = liaison.post("/applications", terms())
    number = answer.json()["number"]
    assert answer.headers["location"] == f"/api/v1/applications/{number}"
    assert answer.json()["status"] == "submitted"
    assert answer.json()["terms"]["limits"] == {"agents": 120, "users": 800}
    assert answer.json()["defaults"]["grace_days"] == 14, "what nobody typed in is shown before it is signed"

    seen = approver.get(f"/applications/{number}").json()
    decided = approver.post(f"/applications/{number}/votes", {"choice": "approve", "revision": seen["revision"]})
    assert decided.status_code == 201
    assert decided.json()["outcome"] == "approved"
    assert decided.json()["application"]["requirements"][0]["approved_by"] == ["Daniel Osei"]

    company.run(Job.SIGN)
    company.run(Job.DELIVER)
    now = liaison.get(f"/applications/{number}").json()
    assert now["status"] == "delivered"
    assert [each["type"] for each in liaison.get(f"/applications/{number}/events").json()["items"]][:3] == [
        "application.drafted",
        "application.submitted",
        "application.approval_recorded",
    ]
    [delivery] = liaison.get(f"/applications/{number}/deliveries").json()["items"]
    assert (delivery["state"], delivery["channel"], delivery["address"]) == (
        "accepted",
        "smime",
        "wei.zhang@harbourline.example",
    )

    file = liaison.client.get(now["license"]["file"], headers={"Authorization": f"Bearer {liaison.token}"})
    assert hashlib.sha256(file.content).hexdigest() == now["license"]["file_sha256"]
    assert now["license"]["file_name"] in file.headers["content-disposition"]
    claims = verify_license(file.content, company.room.chain().current, None, wall_now()).claims
    assert claims.license_id == now["license_id"]
    fetched = liaison.get(f"/applications/{number}/events").json()["items"][-1]
    assert fetched["payload"]["through"] == "api", "who took the file is in the history"


def test_events_can_be_followed_from_the_last_one_seen(program: As) -> None:
    liaison = program("liaison")
    number = applied(liaison)
    seen = liaison.get(f"/applications/{number}/events").json()["items"][-1]
    assert liaison.get(f"/applications/{number}/events?after={seen['sequence']}").json()["items"] == []
    liaison.post(f"/applications/{number}/withdraw", {"comment": "Not needed."})
    [news] = liaison.get(f"/applications/{number}/events?after={seen['sequence']}").json()["items"]
    assert (news["type"], news["previous"]) == ("application.withdrawn", seen["hash"])


def test_every_answer_that_needs_fixing_is_named(program: As) -> None:
    body = terms(environment="LIVE", modules=["time-travel"], limits={"agents": "many"}, recipients=[])
    del body["tenant_id"]
    answer = program("liaison").post("/applications", body)
    assert answer.status_code == 422
    assert pointers(answer) == {
        "#/tenant_id": "missing",
        "#/environment": "unknown",
        "#/modules": "unknown",
        "#/limits/agents": "not_a_number",
        "#/limits/users": "missing",
        "#/recipients": "missing",
    }
    assert problem(answer)["code"] == "application.terms_refused"


def test_a_refused_application_leaves_nothing_behind(program: As) -> None:
    liaison = program("liaison")
    assert liaison.post("/applications", terms(tenant_id="T-404")).status_code == 422
    assert liaison.get("/applications").json()["items"] == []
    assert applied(liaison).endswith("-0001"), "not even a number"


def test_a_misspelled_member_is_refused_instead_of_ignored(program: As) -> None:
    answer = program("liaison").post("/applications", terms(model_type=["chat"]))
    assert pointers(answer) == {"#/model_type": "request.extra_forbidden"}


def test_a_draft_is_kept_as_it_is_and_submitted_later(program: As) -> None:
    liaison = program("liaison")
    draft = liaison.post("/applications?submit=false", {"tenant_id": "T-20817"})
    assert (draft.status_code, draft.json()["status"]) == (201, "draft")
    number, etag = draft.json()["number"], draft.headers["etag"]
    assert program("approver").get(f"/applications/{number}").status_code == 404, "a draft is its owner's own business"
    submitted = liaison.put(f"/applications/{number}", terms(), If_Match=etag)
    assert submitted.json()["status"] == "submitted"
    assert submitted.headers["etag"] != etag


def test_a_revision_replaces_the_one_that_waits_and_both_are_kept(program: As) -> None:
    liaison, approver = program("liaison"), program("approver")
    number = applied(liaison)
    etag = liaison.get(f"/applications/{number}").headers["etag"]
    revised = liaison.put(f"/applications/{number}", terms(limits={"agents": 5, "users": 50}), If_Match=etag)
    assert (revised.status_code, revised.json()["revision"]) == (200, 2)
    late = approver.post(f"/applications/{number}/votes", {"choice": "approve", "revision": 1})
    assert (late.status_code, problem(late)["code"]) == (409, "approvals.stale_revision")
    told = liaison.get(f"/applications/{number}/events").json()["items"][-1]
    assert (told["type"], told["actor"], told["channel"]) == ("application.vote_refused", "Daniel Osei", "api")
    assert (told["payload"]["code"], told["payload"]["seen_revision"]) == ("approvals.stale_revision", 1)
    first, second = approver.get(f"/applications/{number}/revisions").json()["items"]
    assert (first["terms"]["limits"]["users"], second["terms"]["limits"]["users"]) == (800, 50)
    assert first["content_digest"] != second["content_digest"]


def test_changes_asked_for_lead_to_a_new_revision(program: As) -> None:
    liaison, approver = program("liaison"), program("approver")
    number = applied(liaison)
    silent = approver.post(f"/applications/{number}/votes", {"choice": "request_changes", "revision": 1})
    assert pointers(silent) == {"#/comment": "missing"}
    sent_back = {"choice": "request_changes", "revision": 1, "comment": "Which order is this?"}
    assert approver.post(f"/applications/{number}/votes", sent_back).json()["outcome"] == "changes_requested"
    etag = liaison.get(f"/applications/{number}").headers["etag"]
    assert liaison.put(f"/applications/{number}", terms(note="PO-1"), If_Match=etag).json()["status"] == "submitted"
    [vote] = liaison.get(f"/applications/{number}/votes").json()["items"]
    assert (vote["person"], vote["choice"], vote["comment"]) == ("Daniel Osei", "request_changes", "Which order is this?")


def test_a_vote_for_a_colleague_out_of_office_says_so(program: As, company: Company) -> None:
    number = applied(program("liaison"))
    vote = {"choice": "approve", "revision": 1, "on_behalf_of": "approver@serviceme.example"}
    colleague = program("approver2")
    for address in ("approver@serviceme.example", "nobody@serviceme.example"):
        refused = colleague.post(f"/applications/{number}/votes", vote | {"on_behalf_of": address})
        assert (refused.status_code, problem(refused)["code"]) == (403, "delegations.not_theirs")
    with transaction(company.engine) as session:
        now, giver = utc_now(), people.find_person_by_email(session, "approver@serviceme.example")
        assert giver is not None
        today = day_in(giver.time_zone, now)
        days: dict[str, Any] = {"first_day": today, "last_day": today, "reason": "On leave.", "now": now}
        delegations.delegate(session, Actor(giver.name, giver.id), giver.id, to="approver2@serviceme.example", **days)
    assert colleague.post(f"/applications/{number}/votes", vote).status_code == 201
    [told] = colleague.get(f"/applications/{number}/votes").json()["items"]
    assert (told["person"], told["on_behalf_of"]) == ("Sofia Marin", "Daniel Osei")


def test_two_who_decide_at_once_are_told_who_was_quicker(program: As) -> None:
    liaison = program("liaison")
    number = applied(liaison)
    etag = liaison.get(f"/applications/{number}").headers["etag"]
    yes = {"choice": "approve", "revision": 1}
    assert program("approver").post(f"/applications/{number}/votes", yes, If_Match=etag).status_code == 201
    second = program("approver2").post(f"/applications/{number}/votes", yes, If_Match=etag)
    assert second.status_code == 412
    assert "Daniel Osei approved it" in problem(second)["detail"]
    told = liaison.get(f"/applications/{number}/events").json()["items"]
    assert [each["actor"] for each in told if each["type"] == "application.vote_refused"] == ["Sofia Marin"]


def test_withdrawing_is_the_owners_and_ends_it(program: As) -> None:
    liaison = program("liaison")
    number = applied(liaison)
    refused = program("approver").post(f"/applications/{number}/withdraw", {})
    assert (refused.status_code, problem(refused)["code"]) == (403, "roles.missing")
    assert liaison.post(f"/applications/{number}/withdraw", {"comment": "Cancelled."}).json()["status"] == "withdrawn"
    again = liaison.post(f"/applications/{number}/withdraw", {})
    assert (again.status_code, problem(again)["code"]) == (409, "application.illegal_move")


@pytest.mark.parametrize("direct", [False, True])
def test_a_renewal_is_filled_in_from_the_license(program: As, company: Company, direct: bool) -> None:
    liaison = program("liaison")
    number = applied(liaison, environment="PROD")
    company.approve(number)
    company.run(Job.SIGN)
    license_id = liaison.get(f"/applications/{number}").json()["license_id"]
    ends = (wall_now().date() + timedelta(days=500)).isoformat()
    days = {"first_day": wall_now().date().isoformat(), "last_day": ends} if direct else {}
    renewal = liaison.post("/renewals", {"license_id": license_id, "note": "One more year.", **days})
    assert renewal.status_code == 201, renewal.text
    made = renewal.json()
    assert (made["renews"], made["request"]) == (number, "renewal")
    assert made["terms"]["modules"] == ["agent-studio", "knowledge-base"]
    assert made["terms"]["note"] == "One more year."
    assert made["status"] == ("submitted" if direct else "draft"), "without days somebody has to look at it first"
    if direct:
        assert made["terms"]["validity"]["last_day"] == ends
    second = liaison.post("/renewals", {"license_id": license_id})
    assert (second.status_code, problem(second)["code"]) == (409, "application.renewal_open")


def test_a_license_nobody_issued_cannot_be_renewed(program: As) -> None:
    assert program("liaison").post("/renewals", {"license_id": "PROD-00000-00000-00000"}).status_code == 404
