"""Facts and what they owe, against the table of the design."""

import json
from dataclasses import fields
from typing import Any

import pytest

from workflow.domain import events
from workflow.domain.events import CONSEQUENCES, Event, Job

OWED = {
    "application.submitted": ["letter.send approval_requested to approvers"],
    "application.revised": ["letter.send approval_requested to approvers"],
    "application.approval_reminded": ["letter.send approval_reminder to approvers"],
    "application.approval_escalated": ["letter.send approval_escalated to approvers"],
    "application.approved": ["license.sign", "letter.send approved to liaison"],
    "application.changes_requested": ["letter.send changes_requested to liaison"],
    "application.rejected": ["letter.send rejected to liaison"],
    "application.approval_rescinded": ["letter.send changes_requested to liaison"],
    "application.withdrawn": ["letter.send withdrawn to asked"],
    "license.issued": ["license.deliver to recipients"],
    "license.signing_failed": ["letter.send needs_attention to operators", "letter.send needs_attention to liaison"],
    "delivery.held": ["letter.send needs_attention to operators", "letter.send needs_attention to liaison"],
    "delivery.bounced": ["letter.send needs_attention to operators", "letter.send needs_attention to liaison"],
    "delivery.failed": ["letter.send needs_attention to operators", "letter.send needs_attention to liaison"],
    "license.delivered": ["letter.send delivered to liaison"],
    "license.activated": ["letter.send activated to liaison"],
    "license.not_activated": ["letter.send not_activated to recipients", "letter.send not_activated to liaison"],
    "license.revoked": ["letter.send revoked to recipients", "letter.send revoked to liaison"],
}
KINDS: list[type[Event]] = [
    each for each in vars(events).values() if isinstance(each, type) and issubclass(each, Event) and each is not Event
]


def test_each_event_owes_what_the_design_says_and_the_others_owe_nothing() -> None:
    found = {
        kind.type: [
            " ".join(part for part in (owed.job, owed.letter) if part)
            + (f" to {owed.audience}" if owed.audience is not events.Audience.NOBODY else "")
            for owed in owed_jobs
        ]
        for kind, owed_jobs in CONSEQUENCES.items()
    }
    assert found == OWED


def test_no_two_events_share_a_name() -> None:
    assert len({kind.type for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_an_event_can_be_written_down_as_plain_values(kind: type[Event]) -> None:
    sample: dict[str, Any] = {"str": "x", "int": 1, "bool": True, "list[str]": ["x"], "str | None": None}
    said = {
        each.name: sample[str(getattr(each.type, "__name__", each.type)) if each.type != list[str] else "list[str]"]
        for each in fields(kind)
    }
    assert json.loads(json.dumps(kind(**said).payload())) == said


def test_the_names_of_jobs_on_the_wire_are_forever() -> None:
    assert sorted(Job) == [
        "letter.digest",
        "letter.expiry_reminder",
        "letter.notice",
        "letter.one_time_link",
        "letter.send",
        "license.deliver",
        "license.sign",
        "portal.send_code",
    ]
