"""Who has to approve, in words: before an application is submitted and while it waits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from workflow.domain.approvals import Decision, Quorum, Requirement


@dataclass(frozen=True)
class Need:
    """One thing that has to be met, and how far it is."""

    text: str
    detail: str
    met: bool = False


@dataclass(frozen=True)
class Approvals:
    """All that has to be met. `summary`: "1 of 2: 1 of approvers, 1 of security"."""

    summary: str
    needs: Sequence[Need]


def asked_for(quorum: Quorum) -> Approvals:
    """What an application will need."""
    if quorum.automatic:
        return Approvals("No person is needed", [Need("No person is needed", "Approved by the policy as soon as you submit")])
    titles = _titles(quorum.requirements)
    explained = _explained(quorum.requirements)
    needs = [
        Need(titles[each], each.wanted if titles[each] == each.text else each.text if each in explained else "")
        for each in quorum.requirements
    ]
    if _counts_people(quorum.requirements, quorum.distinct):
        needs.append(Need(f"{quorum.distinct} different people", "Nobody counts twice"))
    return Approvals(_summary(0, quorum.requirements, quorum.distinct), needs)


def progress(decision: Decision, names: Mapping[UUID, str]) -> Approvals:
    """How far an application is."""
    requirements = [each.requirement for each in decision.tallies]
    titles, explained = _titles(requirements), _explained(requirements)
    needs = []
    for tally in decision.tallies:
        asked = tally.requirement
        who = ", ".join(names[person] for person in tally.people if person in names)
        count = f"{min(len(tally.people), asked.count)} of {asked.count}{': ' + who if who else ''}"
        detail = count if titles[asked] == asked.text or asked not in explained else f"{count}. {asked.text}"
        needs.append(Need(titles[asked], detail, tally.met))
    if _counts_people(requirements, decision.distinct):
        enough = len(decision.people) >= decision.distinct
        count = f"{min(len(decision.people), decision.distinct)} of {decision.distinct}"
        needs.append(Need(f"{decision.distinct} different people", count, enough))
    if not needs:
        needs.append(Need("No person is needed", "Approved by the policy", met=True))
    return Approvals(_summary(len(decision.people), requirements, decision.distinct), needs)


def _titles(requirements: Sequence[Requirement]) -> dict[Requirement, str]:
    """A rule's own words; where a rule asks for several groups, the group."""
    rules = Counter(each.rule for each in requirements)
    return {each: each.text if rules[each.rule] == 1 else each.wanted for each in requirements}


def _explained(requirements: Sequence[Requirement]) -> frozenset[Requirement]:
    """Where to say what a rule is about: once, at the first group that it asks for."""
    return frozenset({each.rule: each for each in reversed(requirements)}.values())


def _counts_people(requirements: Sequence[Requirement], distinct: int) -> bool:
    return distinct > max((each.count for each in requirements), default=distinct)


def _summary(people: int, requirements: Sequence[Requirement], distinct: int) -> str:
    if not requirements:
        return "No person is needed"
    needed = max(distinct, *(each.count for each in requirements))
    return f"{min(people, needed)} of {needed}: {', '.join(dict.fromkeys(each.wanted for each in requirements))}"
