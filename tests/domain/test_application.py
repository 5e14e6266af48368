"""The states of an application, pair by pair, against the table of docs and design written out once more by hand."""

import re
from itertools import product

import pytest

from workflow.domain.application import FINAL, LIVE, SPINE, TRANSITIONS, Action, IllegalMove, Status, allows, next_status

MOVES = """
save             draft                                            draft
save             changes_requested                                changes_requested
submit           draft changes_requested                          submitted
revise           submitted                                        submitted
record_approval  submitted                                        submitted
approve          submitted                                        approved
request_changes  submitted                                        changes_requested
reject           submitted                                        rejected
rescind          approved                                         changes_requested
withdraw         draft submitted changes_requested approved       withdrawn
issue            approved                                         issued
deliver          issued                                           delivered
activate         issued delivered                                 activated
supersede        issued delivered activated                       superseded
expire           issued delivered activated                       expired
revoke           issued delivered activated                       revoked
"""

EXPECTED = {
    (Status(status), Action(action)): Status(target)
    for action, *statuses, target in (line.split() for line in MOVES.strip().splitlines())
    for status in statuses
}


@pytest.mark.parametrize(("status", "action"), list(product(Status, Action)))
def test_every_status_and_action_leads_where_the_table_says_or_nowhere(status: Status, action: Action) -> None:
    if (status, action) in EXPECTED:
        assert next_status(status, action) is EXPECTED[status, action]
        assert allows(status, action)
    else:
        with pytest.raises(IllegalMove) as refused:
            next_status(status, action)
        shown = "sent back" if status is Status.CHANGES_REQUESTED else status.value
        assert re.match(f"This application is (a )?{shown}, so it cannot [a-z ]+\\. Look", str(refused.value))
        assert not allows(status, action)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_nothing_leads_out_of_a_final_status(status: Status) -> None:
    assert [action for action in Action if allows(status, action)] == []


def test_the_five_states_on_the_wire_follow_each_other_by_one_action_each() -> None:
    assert [status.value for status in SPINE] == ["submitted", "approved", "issued", "delivered", "activated"]
    steps = (Action.APPROVE, Action.ISSUE, Action.DELIVER, Action.ACTIVATE)
    for before, action, after in zip(SPINE, steps, SPINE[1:], strict=False):
        assert next_status(before, action) is after


def test_every_status_but_draft_can_be_reached_from_draft() -> None:
    reached, waiting = set(), {Status.DRAFT}
    while waiting:
        status = waiting.pop()
        reached.add(status)
        waiting |= {target for (origin, _), target in TRANSITIONS.items() if origin is status} - reached
    assert reached == set(Status)


def test_only_an_application_with_a_license_can_end_by_the_clock_or_be_revoked() -> None:
    for action in (Action.SUPERSEDE, Action.EXPIRE, Action.REVOKE):
        assert {status for status in Status if allows(status, action)} == LIVE


def test_a_late_delivery_never_pulls_an_activated_license_back() -> None:
    with pytest.raises(IllegalMove):
        next_status(Status.ACTIVATED, Action.DELIVER)


def test_the_table_cannot_be_changed_while_the_desk_runs() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[Status.DRAFT, Action.ISSUE] = Status.ISSUED  # type: ignore[index]
