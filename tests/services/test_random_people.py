"""Random people do random things to one application on a real database; a model of a few lines says what may be signed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlmodel import select

from tests import people
from tests.builders import DESK, NOW, Office, answers
from tests.domain.policy.written import FOUR, policy
from workflow.database import create_engine
from workflow.db.queries import applications
from workflow.db.tables import RequirementRow, RoleGrant
from workflow.domain.approvals import Choice
from workflow.domain.roles import Actor, Role
from workflow.errors import DeskError
from workflow.services import applications as applying
from workflow.services import decisions, delegations, refusals

BOTH = replace(people.LIAISON, roles=frozenset({Role.LIAISON, Role.APPROVER}))
"""The author, who is an approver, too."""
ACTORS = (BOTH, *people.APPROVERS, people.OPERATOR, people.AUDITOR, people.STRANGER)
GROUPS: dict[UUID, set[str]] = {
    people.id_of(BOTH): {"approvers"},
    people.id_of(people.APPROVER): {"approvers"},
    people.id_of(people.SECURITY): {"approvers", "security"},
    people.id_of(people.LEAD): {"approvers", "leads"},
}
AUTHOR, LEAD = people.id_of(BOTH), people.id_of(people.LEAD)
AWAY = people.id_of(people.SECURITY)
"""Security is out of office, and the lead acts for them."""

actors = st.sampled_from(ACTORS)


@dataclass
class Model:
    """What an approval on PROD is: somebody of the approvers and security said yes to these very terms, as two people with two
    rights, neither of whom wrote them, and nobody said anything else since."""

    yes: dict[UUID, UUID] = field(default_factory=dict)
    """who said yes, with whose right"""

    def may(self, actor: Actor, giver: UUID | None) -> bool:
        """Whether this person's word counts at all, for themselves or for `giver`. Nobody stands in for themselves."""
        person = actor.person_id
        acts = giver is None or (giver, person) == (AWAY, LEAD)
        return Role.APPROVER in actor.roles and acts and AUTHOR not in (person, giver) and person not in self.yes

    @property
    def complete(self) -> bool:
        """Whether enough was said: some pair of voters with different rights, one of whom has security's."""
        rights = set(self.yes.values())
        return len(rights) >= 2 and any("security" in GROUPS[right] for right in rights)


class Desk(RuleBasedStateMachine):
    """One application for PROD, and people who try everything."""

    template: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()
        file = Path(self.directory.name) / "desk.sqlite3"
        shutil.copyfile(self.template, file)
        office = Office.opened(create_engine(f"sqlite:///{file}"))
        self.office = replace(office, desk=replace(DESK, policy=policy(*FOUR)))
        self.model, self.users, self.signed = Model(), 100, False

    def teardown(self) -> None:
        self.office.engine.dispose()
        self.directory.cleanup()

    @initialize()
    def somebody_applies(self) -> None:
        with self.office.work() as session:
            session.add(RoleGrant(person=AUTHOR, role=Role.APPROVER.value, granted_at=people.HIRED))
            delegations.delegate(
                session,
                people.SECURITY,
                AWAY,
                to="lead@serviceme.example",
                first_day=date(2026, 11, 2),
                last_day=date(2026, 11, 9),
                reason="On leave.",
                now=NOW,
            )
        self.number = self.office.submitted(limits__users=self.users, limits__agents=10)
        self.status = "submitted"

    @contextmanager
    def allowed(self, when: bool) -> Iterator[None]:
        """It succeeds exactly when the model says so; a refusal is one of ours."""
        refused: DeskError | None = None
        try:
            yield
        except DeskError as error:
            refused = error
        assert (refused is None) == when, refused or "nobody refused it"

    @rule(actor=actors, choice=st.sampled_from(Choice), for_security=st.booleans(), stale=st.sampled_from([False, False, True]))
    def vote(self, actor: Actor, choice: Choice, for_security: bool, stale: bool) -> None:
        giver = AWAY if for_security else None
        right = giver or actor.person_id
        assert right is not None
        with self.allowed(not stale and self.status == "submitted" and self.model.may(actor, giver)):
            seen = self.office.application(self.number)
            with refusals.kept(self.office.engine, actor, self.number, choice, seen.revision, giver, NOW):
                self._cast(actor, choice, giver, seen.revision - stale)
            person = people.id_of(actor)
            if choice is Choice.APPROVE:
                self.model.yes[person] = right
                self.status = "approved" if self.model.complete else "submitted"
            else:
                self.status = "changes_requested" if choice is Choice.REQUEST_CHANGES else "rejected"

    def _cast(self, actor: Actor, choice: Choice, giver: UUID | None, revision: int) -> None:
        with self.office.work() as session:
            application = applications.get_application(session, self.number)
            how: dict[str, Any] = {"seen_revision": revision, "seen_version": application.version, "on_behalf_of": giver}
            decisions.vote(session, actor, self.office.desk, application, choice, comment="Because.", now=NOW, **how)

    @rule(actor=actors, other_terms=st.booleans())
    def hand_in_again(self, actor: Actor, other_terms: bool) -> None:
        """The model forgets every yes when the terms are others or it was sent back; a new note leaves them standing."""
        with self.allowed(actor is BOTH and self.status in ("submitted", "changes_requested")):
            users = self.users + other_terms
            with self.office.work() as session:
                application = applications.get_application(session, self.number)
                raw = answers(limits__users=users, limits__agents=10, note=f"Note {application.version}.")
                applying.save_draft(session, actor, raw, NOW, application=application)
                applying.submit(session, actor, self.office.desk, application, application.version, NOW)
            if other_terms or self.status == "changes_requested":
                self.model = Model()
            self.users, self.status = users, "submitted"

    @rule(actor=actors)
    def withdraw(self, actor: Actor) -> None:
        with self.allowed(actor is BOTH and self.status in ("submitted", "changes_requested", "approved")):
            with self.office.work() as session:
                application = applications.get_application(session, self.number)
                applying.withdraw(session, actor, application, application.version, "", NOW)
            self.status = "withdrawn"

    @rule(actor=actors)
    def take_an_approval_back(self, actor: Actor) -> None:
        gave = actor.person_id in self.model.yes
        with self.allowed((gave or actor is people.OPERATOR) and self.status == "approved"):
            with self.office.work() as session:
                application = applications.get_application(session, self.number)
                decisions.rescind(session, actor, application, application.version, "Wrong tenant.", NOW)
            self.status = "changes_requested"

    @rule()
    def an_approved_one_is_signed_and_nothing_else(self) -> None:
        with self.allowed(self.status == "approved"):
            assert self.office.sign(self.number).version == 1
            self.signed, self.status = True, "issued"

    @rule(status=st.sampled_from(["approved"]))
    def the_status_set_by_hand_signs_nothing(self, status: str) -> None:
        if self.status in ("approved", "issued") or self.model.complete:
            return
        with self.office.work() as session:
            applications.get_application(session, self.number).status = status
        with self.allowed(False):
            self.office.sign(self.number)
        with self.office.work() as session:
            applications.get_application(session, self.number).status = self.status

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        if not hasattr(self, "number"):
            return
        assert self.office.status(self.number) == self.status
        assert self.office.history(self.number), "and the chain holds"
        assert not self.signed or self.model.complete, "no license without the approvals"


@pytest.mark.timeout(300)
def test_no_path_leads_to_a_license_without_the_approvals(sqlite_template: Path) -> None:
    Desk.template = sqlite_template
    run_state_machine_as_test(
        Desk,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking a real database takes minutes, and 25 steps can be read
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_model_and_the_policy_ask_for_the_same(tmp_path: Path, sqlite_template: Path) -> None:
    Desk.template = sqlite_template
    desk = Desk()
    desk.somebody_applies()
    with desk.office.work() as session:
        asked = {(row.group_name, row.count) for row in session.exec(select(RequirementRow))}
    assert asked == {("approvers", 1), ("security", 1)}
    desk.teardown()
