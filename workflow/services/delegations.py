"""Out of office: an approver names a colleague who acts for them on some days. Nothing is passed on: who acts for somebody uses
that person's own groups, never those that were lent to them.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from workflow.db import outbox
from workflow.db.queries import applications, delegations, people
from workflow.db.queries.people import Standing
from workflow.db.tables import Application, DelegationRow, VoteRow
from workflow.domain.approvals import Choice, Decision
from workflow.domain.events import SystemFact
from workflow.domain.policy import Policy
from workflow.domain.roles import Actor, Permission, grants, may
from workflow.domain.terms import day_in, start_of_day
from workflow.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from workflow.license_file.wording import say
from workflow.services.policies import groups_of

LONGEST_DAYS = 90
LONGEST_REASON = 200


class DelegationRefused(Invalid):
    """The colleague, the days or the reason do not fit."""

    code = "delegations.refused"


class AwayAlready(Conflict):
    """One colleague at a time acts for somebody."""

    code = "delegations.away_already"


class NotTheirDelegate(Forbidden):
    """Nobody acts for a colleague who did not ask for it, or whose days are over."""

    code = "delegations.not_theirs"

    def __init__(self) -> None:
        super().__init__("You do not act for this person now. Decide as yourself, or ask them to name you.")


class NotYourDelegation(Forbidden):
    """Whoever gave it ends it, or an operator."""

    code = "delegations.not_yours"

    def __init__(self) -> None:
        super().__init__("Only the person who is out of office and operators can end this.")


def delegate(
    session: Session, actor: Actor, giver: UUID, *, to: str, first_day: date, last_day: date, reason: str, now: datetime
) -> DelegationRow:
    """Somebody acts for `giver` from the first to the last day, both included, in the giver's time zone. `to` is an address.

    Raises NotYourDelegation unless the actor is the giver or an operator, DelegationRefused naming each field, AwayAlready.
    """
    if actor.person_id != giver and not may(actor, Permission.OPERATE):
        raise NotYourDelegation
    person, colleague = people.get_person(session, giver), people.find_person_by_email(session, to)
    reason = reason.strip()
    problems = []
    if not _decides(session, giver, now):
        problems.append(Problem("giver", "no_approver", f"{person.name} is no approver, so nobody has to act for them."))
    if colleague is None or colleague.disabled_at is not None or not _decides(session, colleague.id, now):
        problems.append(Problem("to", "no_approver", "Enter the e-mail address of another approver."))
    elif colleague.id == giver:
        problems.append(Problem("to", "same_person", "Choose somebody else than the person who is out of office."))
    if first_day < day_in(person.time_zone, now):
        problems.append(Problem("first_day", "past", "Choose today or a later day."))
    if last_day < first_day:
        problems.append(Problem("last_day", "before_first", "Choose the first day or a later one."))
    elif (last_day - first_day).days >= LONGEST_DAYS:
        problems.append(Problem("last_day", "too_long", f"Choose at most {LONGEST_DAYS} days."))
    if not reason or len(reason) > LONGEST_REASON:
        problems.append(Problem("reason", "missing", f"Say why, in at most {LONGEST_REASON} characters."))
    if problems or colleague is None:
        raise DelegationRefused(" ".join(each.message for each in problems), problems)
    starts_at = max(now, start_of_day(first_day, person.time_zone))
    ends_at = start_of_day(last_day + timedelta(days=1), person.time_zone)
    other = delegations.overlapping(session, giver, starts_at, ends_at)
    if other is not None:
        acting = people.get_person(session, other.delegate).name
        raise AwayAlready(f"{acting} acts for {person.name} on some of these days. End that first, or choose other days.")
    row = DelegationRow(giver=giver, delegate=colleague.id, reason=reason, created_at=now, starts_at=starts_at, ends_at=ends_at)
    session.add(row)
    detail = f"{colleague.email} for {person.email}, {starts_at:%Y-%m-%d %H:%M} to {ends_at:%Y-%m-%d %H:%M} UTC: {reason}"
    outbox.record(session, SystemFact("delegation.given", str(row.id), detail), actor, now)
    return row


def end(session: Session, actor: Actor, delegation: UUID, now: datetime) -> None:
    """Ends a delegation before its last day; one that is over stays as it is. What was decided under it stands.

    Raises NotFound, NotYourDelegation.
    """
    row = delegations.get_delegation(session, delegation)
    if actor.person_id != row.giver and not may(actor, Permission.OPERATE):
        # To others it is as if it were not there.
        raise NotYourDelegation if actor.person_id == row.delegate else NotFound("There is no such delegation.")
    if row.ended_at is None and row.ends_at > now:
        row.ended_at = now
        outbox.record(session, SystemFact("delegation.ended", str(row.id)), actor, now)


def require_delegate(session: Session, giver: UUID, delegate: UUID, now: datetime) -> None:
    """Raises NotTheirDelegate unless one acts for the other now."""
    if not delegations.was_delegate(session, giver, delegate, now):
        raise NotTheirDelegate


def groups_of_vote(
    session: Session, policy: Policy, person: UUID, on_behalf_of: UUID | None, since: datetime, at: datetime
) -> frozenset[str]:
    """The groups that a vote counts with: the person's own, or those of the colleague they acted for at that instant.

    None unless the person could decide themselves since the submission: a role granted later does not count for a delegate
    either.
    """
    standing = people.standing_of(session, [each for each in (person, on_behalf_of) if each])
    return _groups_of_vote(session, standing, policy, person, on_behalf_of, since, at)


def groups_of_votes(
    session: Session, policy: Policy, votes: Collection[VoteRow], submitted_at: Mapping[tuple[UUID, int], datetime]
) -> dict[UUID, frozenset[str]]:
    """The groups that each of these votes counts with, by the vote's id. `submitted_at` is by application and revision."""
    if not votes:
        return {}
    standing = people.standing_of(session, {each for row in votes for each in (row.person, row.on_behalf_of) if each})
    return {
        row.id: _groups_of_vote(
            session, standing, policy, row.person, row.on_behalf_of, submitted_at[row.application, row.revision], row.at
        )
        for row in votes
    }


def _groups_of_vote(
    session: Session,
    standing: Standing,
    policy: Policy,
    person: UUID,
    on_behalf_of: UUID | None,
    since: datetime,
    at: datetime,
) -> frozenset[str]:
    if on_behalf_of is None:
        return groups_of(standing, policy, person, since, at)
    _, roles = standing.through(person, since, at)
    if not any(grants(role, Permission.DECIDE) for role in roles):
        return frozenset()
    if not delegations.was_delegate(session, on_behalf_of, person, at):
        return frozenset()
    return groups_of(standing, policy, on_behalf_of, since, at)


def standing_in(session: Session, givers: Collection[UUID], now: datetime) -> frozenset[UUID]:
    """Those who act for these people now."""
    return delegations.delegates_of(session, givers, now)


def lent_to(session: Session, policy: Policy, delegate: UUID, now: datetime) -> dict[UUID, frozenset[str]]:
    """The people somebody acts for now, with the groups that each lends."""
    found = {}
    for giver in delegations.givers_to(session, delegate, now):
        roles = people.roles_of(session, giver.id, now)
        if any(grants(role, Permission.DECIDE) for role in roles):
            found[giver.id] = policy.groups_of(giver.email, roles)
    return found


def signature(person: str, absent: str) -> str:
    """Who decided: "B", or "B for A" when it was for an absent colleague."""
    return say("%(person)s for %(absent)s", person=person, absent=absent) if absent else person


def voters(session: Session, application: Application) -> tuple[str, ...]:
    """Who approved what is asked for now, in the order of their votes: "B", or "B for A". Each once."""
    revision = applications.current_revision(session, application)
    rows = [
        row
        for row in applications.votes_on(session, application.id)
        if row.choice == Choice.APPROVE.value and revision is not None and row.revision >= revision.approvals_from
    ]
    names = people.names_of(session, [each for row in rows for each in (row.person, row.on_behalf_of) if each])
    said = (signature(names[row.person], names[row.on_behalf_of] if row.on_behalf_of else "") for row in rows)
    return tuple(dict.fromkeys(said))


def names_of_voters(session: Session, decision: Decision) -> dict[UUID, str]:
    """Who approved, by their ids: "B", or "B for A"."""
    approving = [each for each in decision.counted if each.choice is Choice.APPROVE]
    names = people.names_of(session, [each for vote in approving for each in (vote.person, vote.right)])
    return {
        each.person: signature(names[each.person], names[each.on_behalf_of] if each.on_behalf_of else "") for each in approving
    }


def _decides(session: Session, person: UUID, now: datetime) -> bool:
    return any(grants(role, Permission.DECIDE) for role in people.roles_of(session, person, now))
